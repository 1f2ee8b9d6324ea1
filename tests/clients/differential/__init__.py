"""The same commands to this server and to Dovecot, and what their answers come to once free choices are taken out."""
