"""A session of Python's imaplib through the proxy: argv is port, tls or starttls, user, password."""
import imaplib
import ssl
import sys

port, mode, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE

if mode == "tls":
    client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=20)
else:
    client = imaplib.IMAP4("127.0.0.1", port, timeout=20)
    client.starttls(ssl_context=context)

try:
    client.login(user, password + "x")
    sys.exit("a wrong password was accepted")
except imaplib.IMAP4.error as error:
    assert "Invalid login or password" in str(error), error

client.login(user, password)
message = b"Subject: imaplib\r\n\r\n" + b"".join(b"line %d \xc3\xa9\r\n" % i for i in range(1000))
status, _ = client.append("INBOX", "(\\Flagged)", None, message)
assert status == "OK", status
status, count = client.select("INBOX")
assert (status, count) == ("OK", [b"1"]), (status, count)
status, data = client.fetch("1", "(FLAGS BODY.PEEK[])")
assert status == "OK" and data[0][1] == message, data
status, data = client.uid("SEARCH", None, "SUBJECT", "imaplib")
assert status == "OK" and data[0].split(), data
status, _ = client.store("1", "+FLAGS", "\\Deleted")
assert status == "OK", status
status, _ = client.expunge()
assert status == "OK", status
client.logout()
print("done")
