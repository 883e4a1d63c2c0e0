"""Asks botocore what AWS files mean. One JSON object a line comes in, one goes out.

In: config and credentials (paths), profile, env. Out: refused (a word for why), or region, base (what
the first call is signed with, or what is handed out) and calls (what STS would be asked, in order).
Nothing is sent: STS, IAM Identity Center, the host's services and programs are replaced here. With
"sent" in the question, STS is asked, at AWS_ENDPOINT_URL_STS.
"""

import datetime
import json
import os
import sys

import botocore.credentials as credentials
import botocore.exceptions as exceptions
import botocore.session

CALLS = []
SENT = [False]
# True while a credential_source is asked: the host is a last resort to botocore otherwise.
ASKED = [False]


def end():
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)


class Sts:
    """A client of STS that only writes down what it is asked."""

    def __init__(self, signer):
        self.signer = signer

    def answer(self, action, signer, asked):
        CALLS.append(dict(asked, action=action, signer=signer))
        given = f"ASIA{len(CALLS):016}"
        user = {"AssumedRoleId": "AROA:x", "Arn": "arn:aws:sts::123456789012:assumed-role/x/x"}
        return {
            "Credentials": {
                "AccessKeyId": given,
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": end(),
            },
            "AssumedRoleUser": user,
        }

    def assume_role(self, **asked):
        return self.answer("AssumeRole", self.signer, asked)

    def assume_role_with_web_identity(self, **asked):
        return self.answer("AssumeRoleWithWebIdentity", asked["WebIdentityToken"], asked)


def creator(session, region_name, own=credentials._get_client_creator):
    if SENT[0]:
        return own(session, region_name)

    def create(*_, aws_access_key_id=None, aws_session_token=None, **__):
        return Sts(named(aws_access_key_id, aws_session_token))

    return create


def named(key, token):
    """A key of the files, and whether a token goes with it."""
    return f"{key}+{token}" if token and key.startswith("AKIA") else key


def expiring(name):
    return {
        "access_key": name,
        "secret_key": "secret",
        "token": "token",
        "expiry_time": end().isoformat(),
        "account_id": None,
    }


def host(name):
    def load(self):
        return credentials.Credentials(name, "secret", "token", method=name) if ASKED[0] else None

    return load


def sourced(self, source_name, own=credentials.CanonicalNameCredentialSourcer.source_credentials):
    ASKED[0] = True
    try:
        return own(self, source_name)
    finally:
        ASKED[0] = False


def sso(self):
    return {
        "ProviderType": "sso",
        "Credentials": {
            "AccessKeyId": f"sso:{self._start_url}:{self._sso_region}:{self._account_id}:{self._role_name}",
            "SecretAccessKey": "secret",
            "SessionToken": "token",
            "Expiration": end().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "AccountId": self._account_id,
        },
    }


credentials._get_client_creator = creator
credentials.CanonicalNameCredentialSourcer.source_credentials = sourced
credentials.ContainerProvider.load = host("container")
credentials.InstanceMetadataProvider.load = host("instance")
credentials.OriginalEC2Provider.load = lambda self: None
credentials.BotoProvider.load = lambda self: None
credentials.FileWebIdentityTokenLoader.__call__ = lambda self: f"token:{self._web_identity_token_path}"
credentials.ProcessProvider._retrieve_credentials_using = lambda self, command: dict(
    expiring(f"process:{command}"), token=None, expiry_time=None
)
credentials.SSOCredentialFetcher._get_credentials = sso


def ask(case):
    os.environ.clear()
    os.environ.update(case["env"])
    os.environ["AWS_CONFIG_FILE"] = case["config"]
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = case["credentials"]
    CALLS.clear()
    SENT[0] = case.get("sent", False)
    session = botocore.session.Session(profile=case["profile"])
    region = session.get_config_variable("region")
    resolver = session.get_component("credential_provider")
    resolver.get_provider("assume-role")._prompter = lambda *_: "123456"
    found = session.get_credentials()
    if found is None:
        return {"refused": "none"}
    given = found.get_frozen_credentials()
    base = CALLS[0]["signer"] if CALLS else named(given.access_key, given.token)
    return {"region": region, "base": base, "calls": CALLS}


for line in sys.stdin:
    try:
        answer = ask(json.loads(line))
    except exceptions.ConfigParseError:
        answer = {"refused": "file"}
    except exceptions.PartialCredentialsError as error:
        source = "source_profile or credential_source" in str(error)
        answer = {"refused": "no source" if source else "half a key"}
    except exceptions.ProfileNotFound:
        answer = {"refused": "no profile"}
    except Exception as error:  # whatever else botocore makes of a file
        answer = {"refused": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
