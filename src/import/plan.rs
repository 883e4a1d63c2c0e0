//! What is done with each item: decided by the vault's content, as a value, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use super::{Content, Item, OTHER_PASSPHRASE, listed};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Class, Error, Result, one_line};
use crate::vault::Payload;

/// One line of the plan.
#[derive(Debug)]
pub struct ImportStep<'a> {
    pub profile: &'a str,
    /// The key of the item, if it has one.
    pub key: Option<&'a Credentials>,
    pub act: Action<'a>,
}

/// What is done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// It is added: the vault has no key for this profile.
    New,
    /// The vault has this key already.
    Same,
    /// The vault has another key, which is kept.
    Kept,
    /// The vault has another key, which is replaced.
    Replaced,
    /// It is not imported, for this reason.
    Skipped(&'a str),
    /// It could not be read: the class of the error and the reason.
    Failed(Class, &'a str),
}

/// Makes the plan. Without a vault all keys are new. Of several keys of one name, the first is used.
pub fn plan<'a>(
    items: &'a [Item],
    vault: Option<&Payload>,
    overwrite: bool,
) -> Vec<ImportStep<'a>> {
    let mut taken: BTreeMap<&str, &Credentials> = BTreeMap::new();
    let mut step = |item: &'a Item| {
        let profile = item.profile.as_str();
        let key = match &item.content {
            Content::Key(key) => key,
            Content::Skipped(why) => {
                return ImportStep { profile, key: None, act: Action::Skipped(why) };
            }
            Content::Failed(class, why) => {
                return ImportStep { profile, key: None, act: Action::Failed(*class, why) };
            }
        };
        let act = match (taken.get(profile), vault.and_then(|vault| vault.credential(profile))) {
            (Some(first), _) if is_same(first, key) => Action::Same,
            (Some(_), _) => Action::Failed(Class::Usage, "there is a second key of this name"),
            (None, None) => Action::New,
            (None, Some(old)) if is_same(&old, key) => Action::Same,
            (None, Some(_)) if overwrite => Action::Replaced,
            (None, Some(_)) => Action::Kept,
        };
        taken.entry(profile).or_insert(key);
        ImportStep { profile, key: Some(key), act }
    };
    items.iter().map(&mut step).collect()
}

/// True if both id and secret are the same.
pub fn is_same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id == other.access_key_id
        && one.secret_access_key.expose() == other.secret_access_key.expose()
}

/// True if the plan changes the vault.
pub fn writes(steps: &[ImportStep]) -> bool {
    steps.iter().any(|step| matches!(step.act, Action::New | Action::Replaced))
}

/// The profiles whose key of the source the vault has after the plan.
pub fn stored<'a>(steps: &[ImportStep<'a>]) -> Vec<&'a str> {
    let is_stored =
        |step: &&ImportStep| matches!(step.act, Action::New | Action::Same | Action::Replaced);
    let mut names: Vec<&str> = steps.iter().filter(is_stored).map(|step| step.profile).collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    names
}

/// Applies the plan to the vault.
pub fn apply(steps: &[ImportStep], vault: &mut Payload, now: Timestamp) {
    for step in steps {
        if let (Action::New | Action::Replaced, Some(key)) = (step.act, step.key) {
            vault.set_credential(step.profile, key, now);
        }
    }
}

/// One line per item: the profile, the key's id, and what is done with it.
pub fn table(steps: &[ImportStep]) -> String {
    let rows: Vec<[String; 3]> = steps
        .iter()
        .map(|step| {
            let word = match step.act {
                Action::New => "new".to_owned(),
                Action::Same => "same".to_owned(),
                Action::Kept => {
                    "kept: the vault has another key, maybe a newer one (--overwrite replaces it)"
                        .to_owned()
                }
                Action::Replaced => "replaced".to_owned(),
                Action::Skipped(why) => format!("skipped: {why}"),
                Action::Failed(_, why) => format!("failed: {why}"),
            };
            let id = step.key.map_or("-", |key| key.access_key_id.as_str());
            [one_line(step.profile), id.to_owned(), word]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (name, id) = (width(0).unwrap_or_default(), width(1).unwrap_or_default());
    rows.iter()
        .map(|[profile, key, word]| format!("{profile:name$}  {key:id$}  {word}\n"))
        .collect()
}

/// The error of a plan with failed items: class 5 if one is damaged, otherwise 4 if one did not open,
/// otherwise the class of the first. The hint names the items that have another passphrase.
pub fn verdict(steps: &[ImportStep]) -> Result<()> {
    let failed = || {
        steps.iter().filter_map(|step| match step.act {
            Action::Failed(class, _) => Some(class),
            _ => None,
        })
    };
    let worst = |class: &Class| match class {
        Class::Damaged => 2,
        Class::Locked => 1,
        _ => 0,
    };
    let Some(class) = failed().max_by_key(worst) else { return Ok(()) };
    let (failed, all) = (failed().count(), steps.len());
    let error = Error::new(class, format!("{failed} of {all} items could not be imported"));
    let closed =
        steps.iter().filter(|step| step.act == Action::Failed(Class::Locked, OTHER_PASSPHRASE));
    let closed: Vec<&str> = closed.map(|step| step.profile).collect();
    Err(match (closed.as_slice(), class) {
        ([], Class::Locked) => error.hint("try again: the vault keeps what was imported"),
        ([], _) => error,
        (closed, _) => error.hint(format!(
            "try again with the passphrase of {}: the vault keeps what was imported",
            listed(closed)
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";

    fn key(id: &str, secret: &str) -> Credentials {
        Credentials::long_term(id.into(), Secret::new(secret.into()))
    }

    fn item(profile: &str, id: &str, secret: &str) -> Item {
        Item { profile: profile.into(), content: Content::Key(key(id, secret)) }
    }

    fn failed(class: Class) -> Item {
        Item { profile: "f".into(), content: Content::Failed(class, "no".into()) }
    }

    fn vault() -> Payload {
        let mut vault = Payload::new(&[], &[]).unwrap();
        vault.set_credential("same", &key(ID, "s"), Timestamp(0));
        vault.set_credential("other", &key(ID, "s"), Timestamp(0));
        vault
    }

    #[test]
    fn existing_keys_are_kept_without_overwrite() {
        let items = [
            item("a", ID, "s"),
            item("same", ID, "s"),
            item("other", ID, "t"),
            Item { profile: "s".into(), content: Content::Skipped("why".into()) },
        ];
        for (overwrite, other) in [(false, Action::Kept), (true, Action::Replaced)] {
            let mut vault = vault();
            let steps = plan(&items, Some(&vault), overwrite);
            let acts: Vec<_> = steps.iter().map(|step| step.act).collect();
            assert_eq!(acts, [Action::New, Action::Same, other, Action::Skipped("why")]);
            apply(&steps, &mut vault, Timestamp(0));
            let stored = vault.credential("other").unwrap();
            assert_eq!(stored.secret_access_key.expose(), if overwrite { "t" } else { "s" });
            assert_eq!(vault.credential_names().collect::<Vec<_>>(), ["a", "other", "same"]);
            assert_eq!(verdict(&steps), Ok(()));
        }
        let without = plan(&items, None, false);
        assert!(writes(&without) && !writes(&plan(&items[1..3], Some(&vault()), false)));
    }

    #[test]
    fn of_two_keys_of_one_name_the_first_is_used_and_the_other_fails() {
        let items = [item("a", ID, "s"), item("a", ID, "s"), item("a", ID, "t")];
        let mut vault = vault();
        let steps = plan(&items, Some(&vault), true);
        assert_eq!((steps[0].act, steps[1].act), (Action::New, Action::Same));
        assert!(matches!(steps[2].act, Action::Failed(Class::Usage, _)));
        apply(&steps, &mut vault, Timestamp(0));
        assert_eq!(vault.credential("a").unwrap().secret_access_key.expose(), "s");
    }

    #[test]
    fn the_verdict_is_the_worst_class_and_the_table_has_a_line_per_item() {
        for (classes, worst) in [
            (&[Class::Locked, Class::Usage][..], Class::Locked),
            (&[Class::Locked, Class::Damaged, Class::Locked], Class::Damaged),
            (&[Class::Usage], Class::Usage),
        ] {
            let items: Vec<_> = classes.iter().map(|class| failed(*class)).collect();
            let error = verdict(&plan(&items, None, false)).unwrap_err();
            let count = classes.len();
            assert_eq!(error.class, worst);
            assert_eq!(error.what, format!("{count} of {count} items could not be imported"));
        }
        let items = [item("a\u{1b}b", ID, "s"), failed(Class::Locked)];
        assert_eq!(
            table(&plan(&items, None, false)),
            "a\u{fffd}b  AKIAIOSFODNN7EXAMPLE  new\nf    -                     failed: no\n"
        );
    }

    #[test]
    fn the_hint_names_what_has_another_passphrase_whatever_else_failed() {
        let closed = |name: &str| Item {
            profile: name.into(),
            content: Content::Failed(Class::Locked, OTHER_PASSPHRASE.into()),
        };
        let hint = |items: &[Item]| verdict(&plan(items, None, false)).unwrap_err().hint;
        let said = |names: &str| {
            let passphrase = format!("try again with the passphrase of {names}");
            Some(format!("{passphrase}: the vault keeps what was imported"))
        };
        let seven: Vec<Item> = ["a", "b", "c", "d", "e", "f", "g"].map(closed).into();
        assert_eq!(hint(&seven[..1]), said("a"));
        assert_eq!(hint(&seven[..5]), said("a, b, c, d, e"));
        assert_eq!(hint(&seven), said("a, b, c, d, e and 2 more"));
        assert_eq!(hint(&[failed(Class::Damaged), closed("x")]), said("x"));
        assert_eq!(hint(&[failed(Class::Damaged)]), None);
    }
}
