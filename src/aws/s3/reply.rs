//! A response of S3, and the error for a refusal or a failure.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::super::connector::http_date;
use super::super::service_error::{NOT_THE_SERVICE, bad_answer, clean_code, clean_message};
use crate::clock::Timestamp;
use crate::store::{ETag, Location, Object, StoreError};

pub(super) struct Reply {
    pub status: u16,
    /// The store's time.
    pub date: Option<Timestamp>,
    pub etag: Option<ETag>,
    modified: Option<Timestamp>,
    body: Vec<u8>,
    /// The code and message of an error, without secrets; empty if there is none.
    pub code: String,
    message: String,
    /// The bucket's region, if the response names one.
    region: Option<String>,
    /// The message for a response that is not S3's.
    bad_answer: String,
}

impl Reply {
    pub fn of(answer: &HttpResponse, secrets: &[&str]) -> Self {
        let header = |name: &str| answer.headers().get(name).filter(|text| !text.is_empty());
        let status = answer.status().as_u16();
        let body = answer.body().bytes().unwrap_or_default().to_vec();
        // The body of any other status is an object.
        let xml = if status >= 300 { String::from_utf8_lossy(&body) } else { "".into() };
        let region = header("x-amz-bucket-region").map(str::to_owned);
        let region =
            region.or_else(|| element(&xml, "Region")).map(|text| clean_code(&text, secrets));
        Self {
            status,
            date: header("date").and_then(http_date),
            etag: header("etag").map(|text| ETag(text.to_owned())),
            modified: header("last-modified").and_then(http_date),
            code: clean_code(&element(&xml, "Code").unwrap_or_default(), secrets),
            message: clean_message(&element(&xml, "Message").unwrap_or_default(), secrets),
            region,
            bad_answer: bad_answer("S3", answer).into_error().what,
            body,
        }
    }

    /// The object, if its version is known.
    pub fn object(&self) -> Option<Object> {
        let etag = self.etag.clone()?;
        Some(Object { body: self.body.clone(), etag, modified: self.modified })
    }

    /// The error for a response that decides nothing. A write may have happened if the store failed (5xx), or
    /// confirms it without the new version.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList>
    pub fn failure(&self, location: &Location, region: &str, write: bool) -> StoreError {
        let (what, hint) = self.explanation(location, region, write);
        let never = self.code == "NotImplemented";
        match write && !never && (self.status >= 500 || self.status < 300) {
            true => StoreError::Unknown(what),
            false => StoreError::Failed { what, hint },
        }
    }

    fn explanation(
        &self,
        location: &Location,
        region: &str,
        write: bool,
    ) -> (String, Option<String>) {
        let Location { bucket, .. } = location;
        let operation = if write { "PutObject" } else { "GetObject" };
        let Self { status, code, .. } = self;
        let refusal = match self.message.as_str() {
            "" => code.clone(),
            message => format!("{code}: {message}"),
        };
        let elsewhere = self.region.as_deref().filter(|it| *it != region && !it.is_empty());
        if let (300..=400, Some(elsewhere)) = (*status, elsewhere) {
            return (
                format!("the bucket {bucket} is in the region {elsewhere}, not in {region}"),
                Some(format!("join again with --region {elsewhere}")),
            );
        }
        let (what, hint) = match code.as_str() {
            "" => (self.bad_answer.clone(), NOT_THE_SERVICE.to_owned()),
            "NoSuchBucket" => {
                (format!("there is no bucket {bucket}"), "check the store's URL".to_owned())
            }
            "AccessDenied" | "AllAccessDisabled" => {
                (format!("{location} refused {operation}: {refusal}"), policy(location, write))
            }
            "InvalidAccessKeyId" => (
                format!("{location} does not know the access key"),
                "it was deleted, is inactive, or is another store's".to_owned(),
            ),
            "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => (
                format!("{location} no longer accepts the temporary credentials ({code})"),
                "get new ones where they came from".to_owned(),
            ),
            // The message of this one can quote the request.
            "SignatureDoesNotMatch" => (
                format!("{location} refused the signature"),
                "the secret access key does not belong to the access key ID, or the region is another"
                    .to_owned(),
            ),
            "RequestTimeTooSkewed" => (
                format!("{location} refused the request's time"),
                "this machine's clock or the store's is off".to_owned(),
            ),
            "NotImplemented" => (
                format!("{location} does not support conditional writes ({refusal})"),
                "hosts can share a store only if it supports If-Match and If-None-Match".to_owned(),
            ),
            _ if *status >= 500 => {
                (format!("{location} failed (HTTP {status}, {code})"), "try again later".to_owned())
            }
            _ => return (format!("{location} refused {operation}: {refusal}"), None),
        };
        (what, Some(hint))
    }
}

/// The hint for the store's administrator.
fn policy(location: &Location, write: bool) -> String {
    let (bucket, objects) =
        (&location.bucket, format!("{}/{}", location.bucket, location.key("*")));
    match write {
        true => format!("allow s3:PutObject on arn:aws:s3:::{objects}"),
        false => format!(
            "allow s3:GetObject on arn:aws:s3:::{objects}, and s3:ListBucket on arn:aws:s3:::{bucket}: \
             without that, AWS answers 403 for an object that is not there"
        ),
    }
}

/// The text of the first XML element of that name.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let text = entities.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    Some(text.replace("&amp;", "&"))
}
