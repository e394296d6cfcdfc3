"""Reading Apple's message database: read-only, with its write-ahead log, whatever macOS made it."""
