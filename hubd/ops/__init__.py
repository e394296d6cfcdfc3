"""Running the hub: metrics, backups, restore, checks of the database, the API's description."""
