"""Labelled texts: files, folders, hub datasets, the paper's twelve tasks, and the embedded one."""
