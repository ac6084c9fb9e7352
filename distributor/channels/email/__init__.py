"""Mails to a list of readers, through any SMTP relay or through SendGrid."""
