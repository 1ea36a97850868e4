"""Files, tables and hub datasets: where rows come from."""
