//! From a profile to a plan: what the AWS files, the environment and the command line ask for together, as
//! pure data. Nothing here calls AWS or opens the vault; `provider` runs a plan, `explain` prints it.
//!
//! | file | what |
//! | --- | --- |
//! | `known` | the settings that AWS's tools, aws-vault and this program read |
//! | `ini` | the text of a file as sections and settings, as Python's `configparser` reads it |
//! | `variables` | the environment's variables, looked up once |
//! | `value` | a value of a file: where it ends, and how an error shows it |
//! | `sections` | one file's sections by name |
//! | `remarks` | what is ignored in a file, or refused by the AWS CLI |
//! | `read` | the two files: where they are, and what they say together |
//! | `missing` | the error for a profile that does not exist |
//! | `settings` | what holds for one profile: its section, includes, what it inherits from `[default]` |
//! | `durations` | how long sessions and roles last |
//! | `base` | which credentials a chain of profiles starts from |
//! | `own_command` | a `credential_process` that is this program |
//! | `host` | where a container's agent and the instance metadata service are |
//! | `arn` | ARNs of roles and MFA devices, checked |
//! | `role` | the parameters of AssumeRole, checked |
//! | `region` | the region, and its partition |
//! | `sts` | the endpoint of STS and of the services beside it |
//! | `variant` | FIPS and dual-stack endpoints |
//! | `sso` | IAM Identity Center: where people log in, and for which role |
//! | `device` | the MFA device that a profile names |
//! | `step` | one call of a plan |
//! | `plan` | the calls to make |
//! | `ambient` | the credentials of a host without a profile |
//! | `before_process` | what an SDK takes before a `credential_process`, or in its place, and before a server |
//! | `faults` | errors of a profile that no plan reports |
//! | `explain` | a plan for a person or a program |
//! | `edit` | new lines in the config file, and keys taken out of the credentials file |

mod ambient;
mod arn;
mod base;
mod before_process;
mod console;
mod device;
mod durations;
pub mod edit;
mod explain;
mod faults;
mod host;
mod ini;
mod known;
mod missing;
mod own_command;
mod plan;
mod read;
mod region;
mod remarks;
mod role;
mod sections;
mod settings;
mod sso;
mod step;
mod sts;
#[cfg(test)]
mod tests;
mod value;
mod variables;
mod variant;

pub use ambient::{ambient, store_target};
pub use arn::device as check_device;
pub use base::{Base, TokenSource};
pub use before_process::{BeforeProcess, before_process, how_to_remove, instead_of_process};
pub use console::{Console, Federation, Signin, console, console_of_environment};
pub use device::{mfa_serial, role};
pub use edit::ACCESS_KEY;
pub use explain::{Part, parts_to_json, parts_to_text};
pub use faults::{Misspelt, Unknown, related, unknown_settings, value_faults};
pub use host::{container, origin};
pub use own_command::{is_exec_of_a_shell, recursion};
pub use plan::{Plan, PlanRequest, plan};
pub use read::{AccessKey, FILE_LIMIT, Files, Profiles, locate, read};
pub use remarks::{About, Remark};
pub use role::Role;
pub use sections::AwsFile;
pub use sso::{SignOn, sign_on, sign_ons};
pub use step::{Mfa, Step};
pub use sts::{Target, sts_and_iam};
pub use value::{key_of, of_value};
pub use variables::Variables;
pub use variant::EndpointVariant;
