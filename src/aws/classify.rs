//! The SDK's errors as ours.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::connector::Route;
use super::service_error::{ServiceError, bad_answer, clean_code, clean_message, refused};
use super::unreachable::{lost, unreachable};
use crate::error::Error;

/// `secrets` are cut out of AWS's message: it echoes parameters that it finds malformed, MFA codes
/// included.
pub fn classify<E: ProvideErrorMetadata>(
    error: &SdkError<E, HttpResponse>,
    (service, operation): (&'static str, &'static str),
    route: &Route,
    skew: Option<i64>,
    secrets: &[&str],
) -> ServiceError {
    match error {
        SdkError::TimeoutError(_) => ServiceError::Timeout { origin: route.origin.to_string() },
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => unreachable(error, route, service),
            None => lost(route),
        },
        SdkError::ResponseError(_) => lost(route),
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            match answer.err().code() {
                Some(code) => refused(
                    status,
                    clean_code(code, secrets),
                    clean_message(answer.err().message().unwrap_or_default(), secrets),
                    (service, operation),
                    skew,
                ),
                None => bad_answer(service, answer.raw()),
            }
        }
        _ => ServiceError::Setup(Error::other(format!(
            "the request for {operation} cannot be built"
        ))),
    }
}
