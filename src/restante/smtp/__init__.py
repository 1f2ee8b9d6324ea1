"""Mail in: the SMTP grammar and the LMTP session. `lmtp.LmtpSession` serves one connection.

Imports nothing: what hands mail over by the grammar must not pay for delivery.
"""
