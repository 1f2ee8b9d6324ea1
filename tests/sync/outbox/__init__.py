"""The outbox: from what is handed in to what a server got, and what stands in Sent."""
