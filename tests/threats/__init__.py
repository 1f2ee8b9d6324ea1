"""What has hit other mail systems, tried here over a real server on loopback, in every protocol where it could fall.

| what happened elsewhere | tests here | and in the rooms |
|---|---|---|
| NUL in a quoted string wrote past a buffer | test_strings | imap/grammar/test_refused, sasl/test_plain |
| long EHLO, AUTH out of bounds | test_lines | smtp/test_grammar, pop3/test_grammar, sasl/test_scram |
| TLS closed within BDAT, plain octets read on | test_tls | server/test_channel (plain_octets_after_the_end_of_tls) |
| an address reached a shell, a log, SQL | test_addresses | delivery/test_deliver, server/test_parts |
| octets pipelined behind STARTTLS answered | test_tls | server/test_channel, smtp/test_lmtp |
| LF.LF ended DATA | test_data | smtp/test_lmtp, smtp/test_grammar |
| 100,000 addresses, giant headers, deep MIME, RFC 2231 | test_giants | mime/test_analyse, mime/test_scan |
| memory by literals and parser states, NOOP ((( | test_memory | imap/grammar/test_reader, test_refused |
| data of a refused {n+} literal read as commands | test_memory | imap/grammar/test_refused |
| a login cache with one key for all | test_logins | accounts/test_authenticate |
| bad base64 dropped other people's logins | test_logins | |
| channel binding bypassed in SCRAM-PLUS | test_tls | sasl/test_scram, accounts/test_authenticate |
| user name went into a filter | test_addresses | accounts/test_authenticate (names_that_are_no_names) |
| expunge without a log emptied phones | | imap/commands/test_resync (below_the_log_floor) |
| bad logins delayed everybody at that address | test_logins | accounts/test_throttle, test_guesses, test_authenticate |
| the clock goes back or forward | test_clock | engines/test_mailboxes, accounts/test_throttle |
"""
