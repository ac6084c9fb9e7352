"""WordPress sites through their REST API."""
