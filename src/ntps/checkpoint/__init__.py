"""A folder of results belongs to one run, and a run that was killed goes on."""
