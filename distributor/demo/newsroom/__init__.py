"""The sample newsroom: stories of an invented town, with pages, pictures and a feed."""
