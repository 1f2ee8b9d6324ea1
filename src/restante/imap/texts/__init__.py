"""What an IMAP session says to people, in their language. RFC 5255 3.

The rooms say everything in English; `language.Texts` puts another language in its place on the way out, sentence by
sentence. What has no translation stays English, so that a new text is never lost.

- `language`: which languages there are, how one is chosen, how a text is translated.
- `german`: the German texts.
"""
