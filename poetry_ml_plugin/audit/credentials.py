"""Detection of credentials by file names and by their text.

The tables are short on purpose. They name what issuers give a form of its own, and what people call
their secrets; what is found is never repeated.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

LONGEST = 8 << 20  # bytes; a text that is larger is data, and not searched
PARDON = b"pragma: allowlist secret"  # in the line; the comment that detect-secrets knows too

NAMES = [
    ".env*",
    "*.env",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".pypirc",
    ".npmrc",
    ".pgpass",
    ".my.cnf",
    ".htpasswd",
    ".dockercfg",
    ".vault-token",
    "auth.toml",
    "kubeconfig",
    "*.kubeconfig",
    "credentials*",
    "*[-_.]credentials",
    "*[-_.]credentials.*",
    "secrets.*",
    "*[-_.]secrets.*",
    "service[-_]account*.json",
    "client[-_]secret*.json",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.key",
    "*.pem",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "*.tfstate",
]
FOLDERS = frozenset([".aws", ".ssh", ".gnupg", ".kube", ".docker", ".ipynb_checkpoints", ".git"])
EXAMPLES = (
    *("*[-_.]example", "*.sample", "*.template", "*.dist", "*.example.*", "*.pub"),
    *("*[-_.]default", "*[-_.]defaults", "example.env", "sample.env", "template.env"),
)
SOURCE = frozenset(
    [".py", ".pyc", ".pyi", ".md", ".rst", ".html", ".ipynb"]
)  # code about credentials

# What an issuer gives a form that nothing else has: words that it cannot be without, and the form.
# Looking for a word takes no time, so the form is looked for only where there is one.
ISSUED = {
    "a private key": ("PRIVATE", rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"),
    "an AWS access key": ("AKIA ASIA", rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "an Anthropic or OpenAI key": ("sk-", rb"\bsk-(?=[\w-]{0,99}\d)[A-Za-z0-9][\w-]{19,}"),
    "an Azure storage key": ("AccountKey", rb"AccountKey=[A-Za-z0-9+/]{40,}"),
    "a Databricks token": ("dapi", rb"\bdapi[0-9a-f]{32}\b"),
    "a DigitalOcean token": ("_v1_", rb"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    "a GitHub token": ("gh github", rb"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
    "a GitLab token": ("gl", rb"\bgl(?:pat|dt|rt|cbt|ptt)-[\w-]{20,}"),
    "a Google key": (
        "AIza GOCSPX ya29",
        rb"\b(?:AIza[\w-]{35}|GOCSPX-[\w-]{28}|ya29\.[\w-]{20,})",
    ),
    "a Heroku key": ("HRKU", rb"\bHRKU-[\w-]{30,}"),
    "a Hugging Face token": ("hf_", rb"\bhf_[A-Za-z0-9]{30,}"),
    "a JSON web token": ("eyJ", rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "an npm token": ("npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    "a PyPI token": ("pypi-", rb"\bpypi-Ag[\w-]{50,}"),
    "a SendGrid key": ("SG.", rb"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    "a Slack token": (
        "xox hooks.slack",
        rb"\bxox[abeoprs]-[\w-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{16,}",
    ),
    "a Stripe key": ("k_live_ k_test_", rb"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    "a Telegram token": (":AA", rb"\b\d{8,10}:AA[\w-]{33}\b"),
    "a Twilio key": ("SK", rb"\bSK[0-9a-f]{32}\b"),
    "a Vault token": (
        "hvs. hvb. hvr. s.",
        rb"\bhv[bsr]\.[\w-]{20,}"
        rb"|\bs\.(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z0-9]{24}\b",
    ),
    "a login for a machine": ("machine", rb"\bmachine\s+\S+\s+login\s+\S+\s+password\s+\S+"),
    "an Authorization header": (
        "uthorization",
        rb"\b(?i:authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token))"
        rb"\s+(?P<value>(?=\S*\d)[\w+/=.~-]{8,})",
    ),
    "a Weights & Biases key": ("wandb", rb"\bwandb\b[^\n]{0,60}\b[0-9a-f]{40}\b"),
    "a password in a connection string": (
        "wd= WD= word= WORD=",
        rb";\s*(?i:password|pwd)=(?P<value>[^;\s\"']{4,})",
    ),
    "a password in an address": (
        "://",
        rb"\b[a-z][a-z0-9+.-]{1,20}://(?P<user>[^\s:@/\"'<>]{0,80}):(?P<value>[^\s@/\"'<>]{3,80})"
        rb"@(?P<host>[\w.-]+)",
    ),
    "a Mailgun key": (
        "key- -",
        rb"\bkey-[0-9a-f]{32}\b|(?<![\w-])[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![\w-])",
    ),
    "a bearer token": (
        "earer",
        rb"\b[Bb]earer\s+(?P<value>(?=[\w+/=.~-]*\d)(?=[\w+/=.~-]*[A-Za-z])[\w+/=.~-]{16,})",
    ),
    "a password in a statement": (
        "PASSWORD IDENTIFIED",
        rb"\b(?:PASSWORD|IDENTIFIED BY)\s+'(?P<value>[^'\s]{4,80})'",
    ),
    "a password in a command": (
        "--pass curl",
        rb"\s--pass(?:word|wd)?[ =][\"']?(?P<value>(?=[^\s\"'`]*\d)[^\s\"'`]{4,80})",
    ),
    "a secret in an element": (
        "</",
        rb"<(?i:[\w.-]*(?:password|passwd|secret|token|api-?key))>(?P<value>[^<\s]{4,200})</",
    ),
    "a secret in an instruction": (
        "ENV",
        rb"\bENV\s+\w*(?i:password|passwd|secret|token|api_?key)\w*[ \t]+(?P<value>(?=\S*\d)\S{6,200})",
    ),
    "a secret as a variable's value": (
        "value",
        rb"""name["']?\s*:\s*["']?\w*(?i:password|passwd|secret|token|api_?key)["']?\s*[,\n]\s*"""
        rb"""["']?value["']?\s*:\s*["']?(?P<value>[^\s"'{}$]{4,200})""",
    ),
    "a login in a command": (
        "curl",
        rb"\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[ =]?[\"']?[^\s:\"']{1,80}:(?P<value>[^\s\"']{4,80})",
    ),
}
LOCAL = re.compile(rb"localhost|127\.[\d.]+|0\.0\.0\.0|[\w-]+|(?:[\w-]+\.)*example(?:\.\w+)?")

# What people call a secret, and what they set it to: in quotes, or bare where files are written so.
HINT = re.compile(rb"pass|pwd|secret|token|cred|key")
ASSIGNED = re.compile(
    rb"""(?P<kind>passw(?:or)?d|passphrase|(?<![a-z])pass|pwd|secret|token|credentials?|keys?(?:_base)?)
        ["']?\]?(?:\s*:\s*[\w.\[\]| ]{1,40}?(?=\s*=[^=]))?
        [ \t]*(?:=>|:=|:|=(?!=)|(?P<default>,))[ \t]*
        (?:\[\s*|\r?\n[ \t]*-[ \t]+)?  # the first of a list
        (?:[rbu]?(?:\"\"\"|\'\'\')\s{0,40}(?P<triple>[^\s"']{4,500})
        |[rbu]?"(?P<double>[^"\n]{4,500})"|[rbu]?'(?P<single>[^'\n]{4,500})'
        |`(?P<ticked>[^`\s]{4,500})`
        |(?P<bare>(?![!&*%|>\[{])[^\s"'`,;]{4,500}))""",
    re.IGNORECASE | re.VERBOSE,
)
SECRET_KEY = re.compile(  # of the many things that are called a key
    rb"(?:access|account|api|auth|encryption|private|secret|shared|signing|storage)[_-]?$",
    re.IGNORECASE,
)
DEFAULT = re.compile(rb"(?:getenv|environ\.get|environ\.setdefault)\(\s*[\"']\w*$")
# In a notebook, where all else is code; and in an address.
COMMAND = re.compile(rb"(?:%(?:set_)?env|export)\s+\w*$|[?&]\w*$")
SETTINGS = frozenset(
    [
        ".bash",
        ".cfg",
        ".conf",
        ".config",
        ".env",
        ".ini",
        ".json",
        ".properties",
        ".sh",
        ".tfvars",
        ".toml",
        ".xml",
        ".yaml",
        ".yml",
        ".zsh",
    ]
)
# Where a value that is not in quotes is code, or a number.
QUOTED = frozenset(
    [".css", ".html", ".ipynb", ".js", ".json", ".mjs", ".py", ".pyi", ".pyx", ".r", ".ts"]
)

# Other ways to write one.
BASE64 = re.compile(rb"(?<![\w+/=-])[A-Za-z0-9+/]{24,12000}={0,2}(?![\w+/=-])")
DOCKER = re.compile(rb'"auth"\s*:\s*"([A-Za-z0-9+/]{8,2000}={0,2})"')
PRINTABLE = re.compile(rb"[\t\n\r -~]+")
CODE = frozenset([".ipynb", ".js", ".mjs", ".py", ".pyi", ".pyx", ".r", ".rb", ".sh", ".ts"])
_GAP = rb"[ \t]{0,20}(?:\+[ \t]{0,20})?\\?(?:\r?\n[ \t]{0,80})?(?:\+[ \t]{0,20})?"
PIECES = re.compile(
    rb'"[^"\n]{1,500}"(?:' + _GAP + rb'"[^"\n]{1,500}"){1,20}'
    rb"|'[^'\n]{1,500}'(?:" + _GAP + rb"'[^'\n]{1,500}'){1,20}"
)
JOINED = re.compile(rb"(?<=\.join\()\s{0,20}[\[(][^\])\n]{1,1000}(?=[\])])")
LOGIN = re.compile(rb"(?:user|login|account|e-?mail|host|url|service)[ _-]?(?:name|id)?|name")
PASSWORD_COLUMN = re.compile(rb"passw(?:or)?d|passphrase|pwd|secret|token")
SECRET_COLUMN = re.compile(
    rb"(?:secret|private|api|auth)[ _-]?(?:access[ _-]?)?(?:key|token)|client[ _-]?secret|access[ _-]?token"
)
AS_SETTINGS = PurePosixPath(".env")

# What stands for a value, and is none.
REFERENCE = re.compile(
    rb"^\$\w|\$[{(]|%\(|\{\w*\}|\{\{|\*\*\*|\.\.\.|^[<\[].*[>\]]$|^(?:env|file|vault):|"
    rb"^(?i:your|my|example|sample|dummy|fake|placeholder)[_-]|^(?:~|\.{0,2})/[\w.-]+/"
)
FILLER = re.compile(
    rb"none|null|true|false|todo|xxx+|guest|pass|passwd|(?:[a-z_ -]*[ _-])?(?:change-?_?me|dummy|example|fake|"
    rb"insert|missing|optional|password|placeholder|redacted|required|secret|string|token|"
    rb"unknown|your)(?:[ _-][a-z_ -]*)?|[a-z]+[_-]?(?:password|secret|token|key)|(?:[a-z]+[_-])+(?:secret|token|key|credential)s?\d{0,2}",
    re.IGNORECASE,
)


def refused(path: PurePosixPath) -> bool:
    """Tell whether a file's name marks it as a credential file."""
    name = path.name.lower()
    if FOLDERS.intersection(path.parts[:-1]):
        # Docker's own folder has logins in one file; a project's may be where its Dockerfiles are.
        return path.parent.name != ".docker" or name == "config.json"
    if path.suffix.lower() in SOURCE or any(fnmatchcase(name, glob) for glob in EXAMPLES):
        return False
    return any(fnmatchcase(name, glob) for glob in NAMES)


def search(content: bytes, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text that look like credentials, each with its kind."""
    content = _utf_8(content)
    if len(content) > LONGEST or b"\0" in content:
        return
    if path.suffix == ".ipynb":
        content = content.replace(rb"\"", b'"').replace(rb"\n", b"  ")  # code in strings of JSON
    seen = set()
    found = [
        *_issued(content),
        *_assigned(content, path),
        *_docker(content),
        *_encoded(content),
        *(_in_pieces(content, path) if path.suffix.lower() in CODE else ()),
        *(_in_columns(content) if path.suffix.lower() in (".csv", ".tsv") else ()),
    ]
    for position, kind in sorted(found):
        line = content.count(b"\n", 0, position) + 1
        if line not in seen and PARDON not in _line(content, position):
            seen.add(line)
            yield line, kind


def _issued(content: bytes) -> Iterator[tuple[int, str]]:
    for kind, (words, form) in ISSUED.items():
        if any(word.encode() in content for word in words.split()):
            for match in re.finditer(form, content):
                if not _is_innocent(match.groupdict()):
                    yield match.start(), kind


def _is_innocent(found: dict[str, bytes | None]) -> bool:
    """Tell whether what an issued form holds stands for a value, or opens nothing but one's own machine."""
    value, user, host = found.get("value") or b"", found.get("user"), found.get("host")
    is_default = user is not None and user == value and bool(LOCAL.fullmatch(host or b""))
    return is_default or _stands_for(value)


def _utf_8(content: bytes) -> bytes:
    """Read a text that Windows wrote in UTF-16; another one is returned as it is."""
    head = content[:200]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif len(head) > 8 and not head[1::2].strip(b"\0") and b"\0" not in head[::2]:
        encoding = "utf-16-le"
    elif len(head) > 8 and not head[::2].strip(b"\0") and b"\0" not in head[1::2]:
        encoding = "utf-16-be"
    else:
        return content
    return content.decode(encoding, errors="replace").encode(errors="replace")


def _docker(content: bytes) -> Iterator[tuple[int, str]]:
    """Find the logins of Docker's config.json: a name and a password, encoded together."""
    for match in DOCKER.finditer(content):
        _, colon, password = (_decoded(match[1]) or b"").partition(b":")
        if colon and password and not _stands_for(password):
            yield match.start(), "a login for a registry"


def _encoded(content: bytes) -> Iterator[tuple[int, str]]:
    """Find credentials in base64."""
    for match in BASE64.finditer(content):
        text = _decoded(match[0])
        if text and any(
            True for _ in (*_issued(text), *_docker(text), *_assigned(text, AS_SETTINGS))
        ):
            yield match.start(), "an encoded credential"


def _decoded(encoded: bytes) -> bytes | None:
    """Decode base64 to a text; None where that is none."""
    try:
        text = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return None
    return text if PRINTABLE.fullmatch(text) else None


def _in_pieces(content: bytes, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    """Find credentials that are written as several strings, one after the other or added up."""
    for match in (*PIECES.finditer(content), *JOINED.finditer(content)):
        whole = b"".join(re.findall(rb"[\"']([^\"'\n]*)[\"']", match[0]))
        if len(whole) < 8 or b" " in whole:
            continue
        before = content[max(0, match.start() - 80) : match.start()].rstrip(b"( \t\r\n\\")
        text = before[before.rfind(b"\n") + 1 :] + b' "' + whole + b'"'
        for _, kind in sorted({*_issued(b'"' + whole + b'"'), *_assigned(text, path)}):
            yield match.start(), kind


def _in_columns(content: bytes) -> Iterator[tuple[int, str]]:
    """Find the columns of a table of logins or of keys, such as the one that AWS offers to download."""
    header, _, rest = content.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    separator = max(b",;\t", key=lambda one: header.count(bytes([one])))
    names = [cell.strip(b" \"'\r").lower() for cell in header.split(bytes([separator]))]
    logins = any(LOGIN.fullmatch(name) for name in names)
    secret = [
        n
        for n, name in enumerate(names)
        if SECRET_COLUMN.fullmatch(name) or (logins and PASSWORD_COLUMN.fullmatch(name))
    ]
    position = len(content) - len(rest)
    for line in rest.splitlines(keepends=True) if secret else ():
        cells = [cell.strip(b" \"'\r\n") for cell in line.split(bytes([separator]))]
        for n in secret:
            if n < len(cells) and len(cells[n]) >= 4 and not _stands_for(cells[n]):
                yield position, f'a value of the column "{names[n].decode(errors="replace")}"'
        position += len(line)


def _assigned(content: bytes, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    suffix = path.suffix.lower()
    settings = suffix in SETTINGS or path.name.startswith((".env", "Dockerfile", "Makefile"))
    for hint in HINT.finditer(content.lower()):
        match = ASSIGNED.match(content, hint.start())
        if match is None:
            continue
        before = content[max(0, match.start() - 64) : match.start()]
        if match["default"] and not DEFAULT.search(before):
            continue
        if match["bare"] and suffix in QUOTED and not COMMAND.search(before):
            continue
        if _secret(match, settings) and _named(content, match):
            yield match.start(), f'a value for "{match["kind"].decode()}"'


def _named(content: bytes, match: re.Match[bytes]) -> bool:
    """Tell whether the name that is assigned to means a secret, and not some other key."""
    before = content[max(0, match.start() - 16) : match.start()]
    return not match["kind"].lower().startswith(b"key") or bool(SECRET_KEY.search(before))


def _secret(match: re.Match[bytes], settings: bool) -> bool:
    quoted = match["triple"] or match["double"] or match["single"]
    value = quoted or match["ticked"] or match["bare"]
    kind = match["kind"].lower()
    if _stands_for(value) or value.lower() == kind or b" " in value:
        return False
    # People choose their passwords, so any word may be one; keys are made by machines, and look so.
    is_password = kind.startswith((b"passw", b"passp", b"pwd"))
    if is_password and (settings or quoted):
        return True
    if kind == b"pass" and settings and re.search(rb"\d", value):
        return True
    looks = len(value) >= (6 if is_password else 8) and re.fullmatch(rb"[\w+/=.~:@!#^&?,-]+", value)
    return bool(looks and re.search(rb"\d", value) and re.search(rb"[A-Za-z]", value))


def _stands_for(value: bytes) -> bool:
    """Tell whether a value is a reference or a placeholder."""
    return bool(REFERENCE.search(value) or FILLER.fullmatch(value)) or 0 < len(set(value)) < 4


def _line(content: bytes, position: int) -> bytes:
    end = content.find(b"\n", position)
    return content[content.rfind(b"\n", 0, position) + 1 : None if end < 0 else end]
