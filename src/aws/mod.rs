//! Blocking clients of AWS's Security Token Service, IAM, sign-in service, IAM Identity Center and S3, and of
//! the host's credential endpoints.
//!
//! Async code is in this room and in `server` only. The runtime, the TLS roots and the sockets are created with
//! the first call, so that a run without one does not pay for them.

mod clients;
mod connector;
mod dial;
pub mod host;
mod http_client;
mod iam;
mod identity;
mod proxy;
mod roots;
mod s3;
mod service_client;
mod service_error;
mod signin;
mod sso;
mod sso_oidc;
mod sts;
#[cfg(test)]
pub mod testing;
mod transport_error;
mod unreachable;

pub use iam::{Iam, LastUse, ListedKey, NewDevice};
pub use identity::CallerIdentity;
pub use roots::check_bundle;
pub use s3::{Limits, S3};
pub use service_error::ServiceError;
pub use signin::SigninService;
pub use sso::{NotGiven, Portal};
pub use sso_oidc::{DeviceCode, NoToken, Oidc, Registration, Tokens, is_over, is_slow_down};
pub use sts::Sts;
