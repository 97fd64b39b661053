"""The problems that a template can have."""


class TemplateProblem(ValueError):
    """A template cannot be used; the message goes on after the name of its option."""
