"""Pure: from a message's content to plain text, HTML, mrkdwn and mail."""
