"""Sixty lines with a credential and sixty without: what a scanner is measured on.

No credential is real: each is made here, of an alphabet and a fixed seed.
"""

from __future__ import annotations

import base64
import random
import string

_RANDOM = random.Random(60)
_LETTERS = string.ascii_letters + string.digits


def key(length: int, alphabet: str = _LETTERS) -> str:
    """Make a key with at least one digit, one small and one capital letter where the alphabet has them."""
    made = "".join(_RANDOM.choices(alphabet, k=length - 3))
    ends = [_RANDOM.choice([c for c in alphabet if test(c)] or alphabet) for test in _KINDS]
    return made + "".join(ends)


_KINDS = (str.isdigit, str.islower, str.isupper)
HEX = "0123456789abcdef"
UPPER = string.ascii_uppercase + "234567"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEow" + key(50)

PLANTED: list[tuple[str, str]] = [
    # what an issuer gives a form of its own
    ("notes.md", f"The key is AKIA{key(16, UPPER)} for now."),
    ("src/churn/data.py", f'client = Client("hf_{key(34)}")'),
    (".github/workflows/ci.yml", f"      run: deploy --with ghp_{key(36)}"),
    ("docs/index.md", f"export GH=github_pat_{key(22)}_{key(40)}"),
    ("docs/setup.rst", f"    glpat-{key(20)}"),
    ("compose.yaml", f"    command: serve sk-proj-{key(40)}"),
    ("compose.yaml", f"    command: serve sk-ant-api03-{key(40)}"),
    ("site/map.js", f'const map = load("AIza{key(35)}");'),
    (
        "hooks.sh",
        f"curl https://hooks.slack.com/services/T{key(9, UPPER)}/B{key(9, UPPER)}/{key(24)}",
    ),
    ("bot.py", f'slack = "xoxb-{key(12, string.digits)}-{key(24)}"'),
    ("bot.py", f'bot = "{key(9, string.digits)}:AA{key(33)}"'),
    ("pay.py", f'stripe.init("sk_live_{key(24)}")'),
    ("mail.py", f'send(with_="SG.{key(22)}.{key(43)}")'),
    ("mail.py", f'mailgun = Client("key-{key(32, HEX)}")'),
    ("mail.md", f"Mailgun: {key(32, HEX)}-{key(8, HEX)}-{key(8, HEX)}"),
    ("call.txt", f"twilio SK{key(32, HEX)}"),
    ("spark.md", f"Log in with dapi{key(32, HEX)}."),
    ("infra.tf", f'resource "do" "x" {{ t = "dop_v1_{key(64, HEX)}" }}'),
    ("blob.py", f'"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={key(86)}=="'),
    ("notebooks/a.ipynb", f'{{"source": ["wandb.login(key=\\"{key(40, HEX)}\\")"]}}'),
    ("release.sh", f"twine upload --with pypi-Ag{key(80)}"),
    ("publish.yml", f"  npm: npm_{key(36)}"),
    ("vault.txt", f"hvs.{key(40)}"),
    ("jwt.txt", f"eyJ{key(30)}.eyJ{key(60)}.{key(43)}"),
    ("heroku.md", f"HRKU-{key(36, HEX)}"),
    ("tls.txt", PEM),
    # what people call a secret
    ("configs/db.yaml", "password: hunter2"),
    ("configs/db.yaml", "db_password: 'correct horse'".replace(" horse", "-horse")),
    ("configs/app.toml", f'secret_key = "{key(50)}"'),
    ("configs/app.ini", f"api_key = {key(24)}"),
    ("configs/app.json", f'{{"client_secret": "{key(32)}"}}'),
    (".env.example", f"AUTH_TOKEN={key(32, HEX)}"),
    ("compose.yaml", "      POSTGRES_PASSWORD: swordfish"),
    ("compose.yaml", "      - MYSQL_ROOT_PASSWORD=tr0ub4dor"),
    ("Dockerfile", f"ENV API_TOKEN={key(32)}"),
    (".github/workflows/ci.yml", f"          API_KEY: {key(32)}"),
    ("src/churn/db.py", 'connect(host, password="s3cret-of-ann")'),
    ("src/churn/db.py", 'password = os.environ.get("DB_PASSWORD", "swordfish")'),
    ("src/churn/db.py", f'os.environ["API_KEY"] = "{key(20)}"'),
    ("src/churn/db.py", 'password: str = "swordfish"'),
    ("src/churn/db.py", 'password = """swordfish"""'),
    ("src/churn/db.py", f"token = '''\n{key(30)}\n'''"),
    ("src/churn/db.py", 'password = (\n    "sword"\n    "fish-1"\n)'),
    ("src/churn/db.py", f'token = "{key(10)}" + "{key(10)}"'),
    ("src/churn/s3.py", f'connect("AKIA" + "{key(16, UPPER)}")'),
    ("src/churn/hub.py", f'login("hf_{key(10)}" "{key(24)}")'),
    ("setup.R", f'Sys.setenv(API_TOKEN = "{key(24)}")'),
    # in an address, a header, a command, a statement
    ("README.md", "postgresql://ann:s3cret-of-ann@db.acme.io/churn"),
    ("configs/app.yaml", "broker: amqp://worker:rabb1t-hole@mq.acme.io:5672"),
    ("docs/api.md", f"curl -H 'Authorization: Bearer {key(32)}' https://api.acme.io"),
    ("docs/api.md", f"Send the header with Bearer {key(40)} in it."),
    ("docs/api.md", "curl -u ann:s3cret-of-ann https://api.acme.io"),
    ("run.sh", "mysqldump --user ann --password=tr0ub4dor churn"),
    ("init.sql", "CREATE USER ann WITH PASSWORD 'swordf1sh';"),
    ("odbc.txt", "Server=db.acme.io;Database=churn;Uid=ann;Pwd=swordf1sh;"),
    ("deploy.txt", "machine api.acme.io login ann password swordf1sh"),
    # encoded, in a table
    ("k8s.txt", f"tls: {b64(PEM)}"),
    ("docker.json", f'{{"auths": {{"acme.io": {{"auth": "{b64("ann:swordfish")}"}}}}}}'),
    ("accounts.csv", "user,password\nann,swordfish"),
    ("keys.csv", f"Access key ID,Secret access key\n1234,{key(40)}"),
]

INNOCENT: list[tuple[str, str]] = [
    # references and placeholders
    ("configs/a.yaml", "password: ${env:DB_PASSWORD}"),
    ("configs/a.yaml", "api_keys: ''"),
    ("configs/a.yaml", "token: ${vault:secret/data/churn#token1}"),
    (".github/workflows/ci.yml", "          token: ${{ secrets.GITHUB_TOKEN }}"),
    (
        ".github/workflows/ci.yml",
        "          key: pip-${{ runner.os }}-${{ hashFiles('poetry.lock') }}",
    ),
    (".github/workflows/ci.yml", "      id-token: write"),
    ("compose.yaml", "      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:-}"),
    ("compose.yaml", "      POSTGRES_PASSWORD_FILE: /run/secrets/db_password"),
    ("compose.yaml", "      url: amqp://guest:guest@rabbitmq:5672"),
    ("compose.yaml", "      RABBITMQ_DEFAULT_PASS: guest"),
    ("example.env", "API_KEY=\nSECRET_KEY=<generate-one-with-openssl>"),
    (".env.default", "DB_PASSWORD=<password>\nAPI_TOKEN="),
    (".env.example", "PASSWORD=changeme\nAPI_KEY=your-api-key"),
    (".env.sample", "SECRET_KEY=your_secret_key_123"),
    ("README.md", "Set `API_KEY=<your key>` and `TOKEN=...` first."),
    ("README.md", "mongodb://name:name@127.0.0.1:27017/test"),
    ("README.md", "postgres://postgres:postgres@localhost:5432/postgres"),
    ("README.md", "https://user:password@example.org/path"),
    ("docs/api.md", "curl -H 'Authorization: Bearer $TOKEN' https://api.acme.io"),
    ("docs/api.md", "Authorization: Bearer <token>"),
    ("docs/api.md", "curl -u user:$PASSWORD https://api.acme.io"),
    ("docs/api.md", "docker login --username ann --password-stdin"),
    ("docs/cli.md", "`--password TEXT`  The password."),
    ("docs/cli.md", "The option `--token` takes a token; `--key` a key."),
    # code that speaks of secrets
    ("docs/a.md", '`options.get("token") == "abc123def"`'),
    ("src/a.py", 'if token == "abc123def":'),
    ("src/a.py", 'assert password != "hunter2-but-longer"'),
    ("src/a.js", 'if (apiKey === "abc123def") return;'),
    ("src/a.py", 'password = os.environ["PASSWORD1"]'),
    ("src/a.py", "password = getpass.getpass()"),
    ("src/a.py", "token = get_token2(x)"),
    ("src/a.py", 'token = settings["token_1"]'),
    ("src/a.py", 'API_KEY_HEADER = "X-API-Key2"'),
    ("src/a.py", 'url = f"https://{user}:{password}@{host}"'),
    ("src/a.py", 'headers = {"Authorization": f"Bearer {token}"}'),
    ("src/a.py", 'parser.add_argument("--password", help="of the database, at least 8 letters")'),
    ("src/a.py", 'raise ValueError("password: at least 8 characters, 1 digit")'),
    ("src/a.py", 'secret = Secret("DB1")'),
    ("src/a.py", 'TOKEN = re.compile(r"[a-z0-9]+")'),
    ("src/a.py", 'columns = ["password", "token", "k1f2e3d4c5"]'),
    (
        "src/a.py",
        'message = (\n    "Read the password from the environment, "\n    "and not from a file."\n)',
    ),
    ("src/a.py", 'key = "feature_123456"'),
    ("src/a.py", 'api_key: str = ""'),
    ("src/a.py", "password: str | None = None"),
    ("src/a.py", 'tokens = tokenizer("sk-learn and sk-image")'),
    ("src/a.html", '<input type="password" name="password" placeholder="Password">'),
    ("src/a.css", ".token.keyword1 { color: #00ff00; }"),
    # words of machine learning, hashes, encodings
    (
        "configs/t.json",
        '{"pad_token": "[PAD]", "eos_token": "<|endoftext|>", "max_tokens": 100000}',
    ),
    ("configs/t.json", '{"vocab": {"password": 1234, "token": 8812345}}'),
    ("poetry.lock", f'    {{file = "secretstorage-3.3.1.whl", hash = "sha256:{key(64, HEX)}"}},'),
    ("package-lock.json", f'      "integrity": "sha512-{key(86)}=="'),
    ("manifest.json", f'{{"sha256": "{key(64, HEX)}", "size": 120000}}'),
    (".gitmodules", f"commit = {key(40, HEX)}"),
    ("a.svg", f'<image href="data:image/png;base64,{b64(key(400))}"/>'),
    ("notebooks/a.ipynb", f'{{"image/png": "{base64.b64encode(bytes(range(256)) * 4).decode()}"}}'),
    ("docs/ids.md", "550e8400-e29b-41d4-a716-446655440000"),
    ("tweets.csv", f"id,token,password\n1,{key(32, HEX)},x1y2z3a4"),
    ("customers.csv", "name,age,keyword\nann,34,password1"),
    ("k8s.yaml", "          secretKeyRef: {name: churn-keys1, key: api-key1}"),
    ("docs/jwt.md", "A token has three parts: eyJ..., eyJ..., and a signature."),
]
