"""Moving in: the tables of the service that modeltrail replaces, read and taken over. Nothing is written to them."""
