"""Mail in and out of files: mbox, Maildir and Maildir++, folders of .eml, tar and zip of those."""
