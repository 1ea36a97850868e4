"""Results of a study as tables that statistics work on."""
