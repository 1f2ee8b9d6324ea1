"""What an account is (`model`), what an engine must do (`interface`, `directory`), and the engines."""
