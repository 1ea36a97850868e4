"""The paper's tables and figures, with measured values for comparison."""
