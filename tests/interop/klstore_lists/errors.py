"""What can be wrong with what is read."""


class ListError(Exception):
    """Anything that keeps a list from being read."""


class NotFound(ListError):
    """There is no such keyspace."""


class Corrupt(ListError):
    """Damaged, another list's, or in contradiction with itself."""


class NewerFormat(ListError):
    """Written by something newer, which a reader of version 1 must not guess about."""


class MovedOn(ListError):
    """The objects are not those that the newest commit told of: start over from it."""
