"""Reads klstore's lists, with nothing to go by but docs/FORMAT.md. Section numbers in comments are those of that page."""
