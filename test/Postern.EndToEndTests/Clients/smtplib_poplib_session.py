"""Python's smtplib sends a mail through the proxy and poplib reads it: argv is SMTP port, POP3 port, tls or starttls, user, password."""
import poplib
import smtplib
import ssl
import sys
import time

smtp_port, pop3_port, mode, user, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
source = ("127.0.0.2", 0)

if mode == "tls":
    smtp = smtplib.SMTP_SSL("127.0.0.1", smtp_port, context=context, timeout=20, source_address=source)
else:
    smtp = smtplib.SMTP("127.0.0.1", smtp_port, timeout=20, source_address=source)
    smtp.ehlo("early.example.test")
    assert not smtp.has_extn("auth") and smtp.has_extn("starttls"), smtp.esmtp_features
    smtp.starttls(context=context)
smtp.ehlo("laptop.example.test")
assert smtp.has_extn("auth") and not smtp.has_extn("starttls"), smtp.esmtp_features
try:
    smtp.sendmail("a@example.test", [user], b"Subject: no\r\n\r\n")
    sys.exit("mail was accepted without sign-in")
except smtplib.SMTPSenderRefused as error:
    assert error.smtp_code == 530, error
try:
    smtp.user, smtp.password = user, password + "x"
    smtp.auth("LOGIN", smtp.auth_login)
    sys.exit("a wrong password was accepted")
except smtplib.SMTPAuthenticationError as error:
    assert error.smtp_code == 535, error
smtp.user, smtp.password = user, password
code, reply = smtp.auth("PLAIN", smtp.auth_plain)
assert code == 235, (code, reply)
body = b"".join(b"line %d \xc3\xa9\r\n" % i for i in range(1000)) + b".\r\n..\r\n"
message = b"From: sender@example.test\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nSubject: smtplib\r\n\r\n" + body
refused = smtp.sendmail("sender@example.test", [user, "nobody@example.test"], message)
assert list(refused) == ["nobody@example.test"] and refused["nobody@example.test"][0] == 550, refused
smtp.quit()


def sign_in(password):
    if mode == "tls":
        pop3 = poplib.POP3_SSL("127.0.0.1", pop3_port, context=context, timeout=20)
    else:
        pop3 = poplib.POP3("127.0.0.1", pop3_port, timeout=20)
        assert "STLS" in pop3.capa(), pop3.capa()
        pop3.stls(context=context)
        assert "STLS" not in pop3.capa(), pop3.capa()
        assert pop3.capa()["SASL"] == ["PLAIN", "LOGIN", "CRAM-MD5"], pop3.capa()
    pop3.user(user)
    pop3.pass_(password)
    return pop3


try:
    sign_in(password + "x")
    sys.exit("a wrong password was accepted")
except poplib.error_proto as error:
    assert b"Invalid login or password" in error.args[0], error

for _ in range(400):
    pop3 = sign_in(password)
    if pop3.stat()[0]:
        break
    pop3.quit()
    time.sleep(0.05)
status, lines, size = pop3.retr(1)
text = b"\r\n".join(lines) + b"\r\n"
assert text.endswith(message), text[:1000]
assert b"Received: from laptop.example.test (client.example.test [127.0.0.2])" in text, text[:1000]
pop3.dele(1)
pop3.quit()
pop3 = poplib.POP3("127.0.0.1", pop3_port, timeout=20) if mode != "tls" else poplib.POP3_SSL("127.0.0.1", pop3_port, context=context, timeout=20)
pop3.apop(user, password)
assert pop3.stat() == (0, 0), pop3.stat()
pop3.quit()
print("done")
