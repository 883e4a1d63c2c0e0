//! The owner of a key, from the ARN that GetCallerIdentity gives.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerIdentity {
    /// An IAM user: `arn:aws:iam::123456789012`, and the name without the path.
    User { account: String, name: String },
    /// The account's root user.
    Root,
    /// A role's session, a federated user.
    Other,
}

impl CallerIdentity {
    /// Reads `arn:aws:iam::123456789012:user/path/name`.
    pub fn of(arn: &str) -> Self {
        let (account, resource) = arn.rsplit_once(':').unwrap_or_default();
        match resource.split_once('/') {
            Some(("user", path)) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                Self::User { account: account.to_owned(), name: name.to_owned() }
            }
            _ if resource == "root" => Self::Root,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_told_from_all_others() {
        let user = CallerIdentity::of("arn:aws:iam::123456789012:user/ci/robots/build");
        let account = "arn:aws:iam::123456789012".to_owned();
        assert_eq!(user, CallerIdentity::User { account, name: "build".to_owned() });
        assert_eq!(CallerIdentity::of("arn:aws:iam::123456789012:root"), CallerIdentity::Root);
        for arn in [
            "arn:aws:sts::123456789012:assumed-role/deploy/x",
            "arn:aws:sts::123456789012:federated-user/x",
            "",
        ] {
            assert_eq!(CallerIdentity::of(arn), CallerIdentity::Other, "{arn}");
        }
    }
}
