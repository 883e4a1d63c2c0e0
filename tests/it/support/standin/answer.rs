//! The XML that STS and IAM answer.

use super::http::Response;
use super::time;
use super::world::Issued;

/// The namespace of the STS API.
pub const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
/// The namespace of the IAM API.
pub const IAM: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// An error answer in the making.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    /// 403 `AccessDenied`
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    /// 403 `InvalidClientTokenId`
    pub fn unknown_key() -> Self {
        let message = "The security token included in the request is invalid.";
        Self::new(403, "InvalidClientTokenId", message)
    }

    /// 400 `ValidationError`
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub fn response(&self, namespace: &str, request_id: &str) -> Response {
        let who = if self.status < 500 { "Sender" } else { "Receiver" };
        let (code, message) = (escape(&self.code), escape(&self.message));
        xml(
            self.status,
            format!(
                "<ErrorResponse xmlns=\"{namespace}\">\n  <Error>\n    <Type>{who}</Type>\n    \
                 <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  \
                 <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n"
            ),
        )
    }
}

/// The answer of an action that went well; `result` is the inside of its result element. There is no
/// such element if it is empty.
pub fn success(namespace: &str, action: &str, result: &str, request_id: &str) -> Response {
    let result = match result {
        "" => String::new(),
        inside => format!("  <{action}Result>\n{inside}  </{action}Result>\n"),
    };
    xml(
        200,
        format!(
            "<{action}Response xmlns=\"{namespace}\">\n{result}  <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  \
             </ResponseMetadata>\n</{action}Response>\n"
        ),
    )
}

/// The `Credentials` element.
pub fn credentials(issued: &Issued) -> String {
    element(
        "Credentials",
        &[
            ("AccessKeyId", &issued.access_key_id),
            ("SecretAccessKey", &issued.secret_access_key),
            ("SessionToken", &issued.session_token),
            ("Expiration", &time::rfc3339(issued.expiration)),
        ],
    )
}

/// An element of texts.
pub fn element(name: &str, fields: &[(&str, &str)]) -> String {
    let inside: String =
        fields.iter().map(|(name, text)| format!("  {}", text_element(name, text))).collect();
    format!("    <{name}>\n{inside}    </{name}>\n")
}

/// An element with a text in it.
pub fn text_element(name: &str, text: &str) -> String {
    format!("    <{name}>{}</{name}>\n", escape(text))
}

fn xml(status: u16, body: String) -> Response {
    Response { status, content_type: "text/xml", body, headers: Vec::new() }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
