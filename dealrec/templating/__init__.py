"""Templates of prompts that anybody may send: a small part of Jinja2 that can neither escape nor run long."""
