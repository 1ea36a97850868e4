"""Every option once: its type, default, meaning and limits."""
