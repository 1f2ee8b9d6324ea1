"""One search language for every protocol (`language`)."""
