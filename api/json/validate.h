/* Rules for texts that people choose. Each fills `err` with the field and the
 * rule in words. */
#ifndef MINICLOUD_API_JSON_VALIDATE_H
#define MINICLOUD_API_JSON_VALIDATE_H

struct err;

/* RFC 1123 label: 1 to 63 of a-z 0-9 and -, no - at either end; and not shaped
 * like a UUID, since a name works wherever an id does. */
int validate_name(const char *field, const char *text, struct err *err);
/* What machines call themselves by: printable ASCII without spaces, quotes and backslashes. */
int validate_word(const char *field, const char *text, struct err *err);
/* Host name: labels as above joined by dots, 253 bytes at most. */
int validate_hostname(const char *field, const char *text, struct err *err);
/* Label name: 1 to 63 of letters, digits, - _ . / beginning and ending alphanumeric. */
int validate_label_name(const char *field, const char *text, struct err *err);
/* At most 255 bytes without control characters. */
int validate_label_value(const char *field, const char *text, struct err *err);
/* An OpenSSH public key line: known type, base64 whose inner type agrees (RFC 4253
 * section 6.6), no newline. */
int validate_public_key(const char *field, const char *text, struct err *err);
/* SHA-256: 64 hexadecimal digits. */
int validate_sha256(const char *field, const char *text, struct err *err);
/* "SHA256:..." as ssh-keygen -l prints it. Owned by the caller. */
char *public_key_fingerprint(const char *text);

#endif
