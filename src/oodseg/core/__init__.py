"""The vocabulary everyone shares: results, contracts, names of parts, errors."""
