"""Azure: signing in, and the Azure Resource Manager; nothing else imports azure.*, and this only when it is used."""
