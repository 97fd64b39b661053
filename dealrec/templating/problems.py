"""What can be wrong with a template."""


class TemplateProblem(ValueError):
    """A template cannot be used; the message goes on after the name of its option."""
