"""The functions that run stages, one file each, and the library's executor.

The worker's child process and :mod:`dealrec.stages.workspace` call the same functions over the same
artifacts. :mod:`dealrec.config.stages` says what each stage is without loading any of them.
"""
