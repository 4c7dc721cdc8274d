//! Where the store is and who asks: flags and `KLSTORE_*`, then the configuration file, then the usual `AWS_*`
//! variables and files.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use klstore_config::{ConfigErrors, ConfigFile, Loaded};
use klstore_format::S3StoreConfig;

use crate::failure::{Failure, Kind};

/// The flags that say which store is meant. There is none for a secret: these come through the AWS chain or a file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArguments {
    /// Configuration file (INI or .toml); flags and KLSTORE_* variables win over what it says
    #[arg(long, global = true, env = "KLSTORE_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Bucket
    #[arg(long, global = true, env = "KLSTORE_BUCKET", hide_env_values = true)]
    pub bucket: Option<String>,
    /// URL of an S3-compatible store; without it AWS's own [also: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL]
    #[arg(long, global = true, env = "KLSTORE_ENDPOINT", hide_env_values = true, value_name = "URL")]
    pub endpoint: Option<String>,
    /// What all object names begin with, such as `team/lists` (--object-prefix in `key ls`)
    #[arg(
        long = "prefix",
        alias = "object-prefix",
        global = true,
        env = "KLSTORE_PREFIX",
        hide_env_values = true,
        value_name = "PREFIX"
    )]
    pub object_prefix: Option<String>,
    /// Region of the bucket [also: AWS_REGION, AWS_DEFAULT_REGION, the profile's; else us-east-1]
    #[arg(long, global = true, env = "KLSTORE_REGION", hide_env_values = true)]
    pub region: Option<String>,
    /// Put the bucket into the URL's path instead of its host name; always so where the host is an IP address
    #[arg(
        long, global = true, env = "KLSTORE_PATH_STYLE", hide_env_values = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub path_style: Option<bool>,
    /// PEM file of certificate authorities to trust beside the system's [also: AWS_CA_BUNDLE]
    #[arg(long, global = true, env = "KLSTORE_CA_BUNDLE", hide_env_values = true, value_name = "FILE")]
    pub ca_bundle: Option<PathBuf>,
    /// Profile of ~/.aws to take credentials from [also: AWS_PROFILE]
    #[arg(long, global = true, env = "KLSTORE_PROFILE", hide_env_values = true)]
    pub profile: Option<String>,
    /// Do not sign requests: for public buckets
    #[arg(
        long, global = true, env = "KLSTORE_ANONYMOUS", hide_env_values = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub anonymous: Option<bool>,
    /// How long a step is tried where the store does not answer; if not given, 30 s for a request that reads and 60 s
    /// for an append
    #[arg(
        long, global = true, env = "KLSTORE_DEADLINE", hide_env_values = true, value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub deadline: Option<u64>,
}

/// What flags, variables and file say together.
#[derive(Debug)]
pub struct Settings {
    /// Of reader and writer.
    pub config: S3StoreConfig,
    /// Whether somebody named the region, so that the AWS profile need not be asked.
    pub region_is_known: bool,
    /// The file, where one is named.
    pub file: Option<ConfigFile>,
}

impl StoreArguments {
    /// How long a step is tried, where that is given.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline.map(Duration::from_secs)
    }

    /// The settings of reader and writer. `variable` looks up an environment variable.
    pub fn settings(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Settings, Failure> {
        let file = self.file()?;
        let loaded = match &file {
            Some(file) => Some(file.s3(&variable).map_err(invalid_file)?),
            None => None,
        };
        let in_file = |name: &str| loaded.as_ref().is_some_and(|loaded| loaded.line(name).is_some());
        let mut merge = Merge { named: Vec::new(), config: loaded.as_ref().map(of_file).unwrap_or_default() };

        merge.take("bucket_name", given(&self.bucket), |config| &mut config.bucket_name);
        merge.take("object_prefix", self.object_prefix.clone(), |config| &mut config.object_prefix);
        let endpoint = given(&self.endpoint).or_else(|| {
            first(&variable, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]).filter(|_| !in_file("endpoint"))
        });
        merge.take("endpoint", endpoint.map(Some), |config| &mut config.endpoint);
        let is_local = merge.config.endpoint.as_deref().is_some_and(is_local);
        let path_style = self.path_style.or((is_local && !in_file("path_style")).then_some(true));
        merge.take("path_style", path_style, |config| &mut config.path_style);
        let region = given(&self.region)
            .or_else(|| first(&variable, &["AWS_REGION", "AWS_DEFAULT_REGION"]).filter(|_| !in_file("region")));
        let region_is_known = region.is_some() || in_file("region");
        merge.take("region", region, |config| &mut config.region);
        let ca_bundle = self
            .ca_bundle
            .clone()
            .filter(|path| !path.as_os_str().is_empty())
            .or_else(|| first(&variable, &["AWS_CA_BUNDLE"]).filter(|_| !in_file("ca_bundle")).map(PathBuf::from));
        merge.take("ca_bundle", ca_bundle.map(Some), |config| &mut config.ca_bundle);
        self.take_identity(&mut merge);
        let Merge { named, config } = merge;

        if config.bucket_name.is_empty() {
            let advice = "name it with --bucket NAME, KLSTORE_BUCKET=NAME, or bucket_name in the file of --config";
            return Err(Failure::new(Kind::Access, "no bucket is set").advice(advice));
        }
        config.validate().map_err(|error| match &file {
            Some(file) if in_file(error.setting()) && !named.contains(&error.setting()) => {
                invalid_file(file.locate("s3", error))
            }
            _ => Failure::new(Kind::Access, error.to_string()),
        })?;
        Ok(Settings { config, region_is_known, file })
    }

    /// The configuration file, where one is named.
    pub fn file(&self) -> Result<Option<ConfigFile>, Failure> {
        let path = self.config.as_deref().filter(|path| !path.as_os_str().is_empty());
        path.map(ConfigFile::load).transpose().map_err(invalid_file)
    }

    /// Who asks: a flag replaces whatever the file says of it, keys and all.
    fn take_identity(&self, merge: &mut Merge) {
        let profile = given(&self.profile);
        if profile.is_some() || self.anonymous == Some(true) {
            let config = &mut merge.config;
            for key in [
                &mut config.access_key,
                &mut config.secret_key,
                &mut config.security_token,
                &mut config.session_token,
                &mut config.profile,
            ] {
                *key = None;
            }
            config.anonymous = false;
        }
        merge.take("profile", profile.map(Some), |config| &mut config.profile);
        merge.take("anonymous", self.anonymous, |config| &mut config.anonymous);
    }
}

/// A configuration that grows from the weakest source to the strongest.
struct Merge {
    config: S3StoreConfig,
    /// Settings that are not the file's any more.
    named: Vec<&'static str>,
}

impl Merge {
    fn take<T>(&mut self, name: &'static str, value: Option<T>, field: fn(&mut S3StoreConfig) -> &mut T) {
        if let Some(value) = value {
            *field(&mut self.config) = value;
            self.named.push(name);
        }
    }
}

/// What is wrong with a configuration file, with all its lines.
pub fn invalid_file(errors: ConfigErrors) -> Failure {
    Failure::new(Kind::Access, errors.to_string())
}

fn of_file(loaded: &Loaded<S3StoreConfig>) -> S3StoreConfig {
    loaded.config.clone()
}

/// Empty counts as not given.
fn given(flag: &Option<String>) -> Option<String> {
    flag.clone().filter(|value| !value.is_empty())
}

fn first(variable: &impl Fn(&str) -> Option<String>, names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| variable(name)).find(|value| !value.is_empty())
}

/// Whether the host is this machine or an IP address, where `BUCKET.host` cannot be looked up.
fn is_local(endpoint: &str) -> bool {
    let after_scheme = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(_) => return true,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn aws_variables(name: &str) -> Option<String> {
        let value = match name {
            "AWS_ENDPOINT_URL_S3" => "http://s3:1",
            "AWS_ENDPOINT_URL" => "http://any:1",
            "AWS_REGION" => "",
            "AWS_DEFAULT_REGION" => "eu-west-1",
            "AWS_CA_BUNDLE" => "/aws.pem",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn arguments() -> StoreArguments {
        StoreArguments { bucket: Some("b".into()), ..StoreArguments::default() }
    }

    fn config(arguments: &StoreArguments, variable: fn(&str) -> Option<String>) -> S3StoreConfig {
        arguments.settings(variable).expect("valid").config
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn flags_win_over_the_environment_and_the_specific_over_the_general() {
        let from_variables = config(&arguments(), aws_variables);
        assert_eq!((from_variables.endpoint.as_deref(), &*from_variables.region), (Some("http://s3:1"), "eu-west-1"));
        assert_eq!(from_variables.ca_bundle, Some("/aws.pem".into()));
        let flags = StoreArguments {
            endpoint: Some("http://flag:1".into()),
            region: Some("r".into()),
            ca_bundle: Some("/flag.pem".into()),
            ..arguments()
        };
        let from_flags = config(&flags, aws_variables);
        assert_eq!((from_flags.endpoint.as_deref(), &*from_flags.region), (Some("http://flag:1"), "r"));
        assert_eq!(from_flags.ca_bundle, Some("/flag.pem".into()));
    }

    #[test]
    fn without_anything_it_is_aws_in_its_first_region() {
        let settings = arguments().settings(nothing).expect("valid");
        let config = &settings.config;
        assert_eq!((&config.endpoint, &*config.region, config.path_style), (&None, "us-east-1", false));
        assert!(!settings.region_is_known);
    }

    #[test]
    fn the_file_stands_between_flags_and_aws_variables() {
        let file = file("[s3]\nbucket_name=f\nendpoint=http://file:1\nregion=file-1\ncompact_items_threshold=7\n");
        let named = StoreArguments { config: Some(file.path().into()), ..StoreArguments::default() };
        let settings = named.settings(aws_variables).expect("valid");
        let from_file = &settings.config;
        assert!(settings.region_is_known);
        assert_eq!((&*from_file.bucket_name, &*from_file.region), ("f", "file-1"));
        assert_eq!((from_file.endpoint.as_deref(), from_file.compact_items_threshold), (Some("http://file:1"), 7));
        assert_eq!(from_file.ca_bundle, Some("/aws.pem".into()), "what the file leaves open");
        let flags = StoreArguments { bucket: Some("b".into()), region: Some("r".into()), ..named };
        let from_flags = config(&flags, aws_variables);
        assert_eq!((&*from_flags.bucket_name, &*from_flags.region, from_flags.compact_items_threshold), ("b", "r", 7));
    }

    #[test]
    fn a_flag_that_says_who_asks_replaces_the_keys_of_the_file() {
        let file = file("[s3]\nbucket_name=f\naccess_key=a\nsecret_key=s\nsession_token=t\nprofile=p\n");
        let named = StoreArguments { config: Some(file.path().into()), ..StoreArguments::default() };
        assert_eq!(config(&named, nothing).access_key.as_deref(), Some("a"));
        let other = config(&StoreArguments { profile: Some("q".into()), ..named.clone() }, nothing);
        assert_eq!((other.access_key.as_deref(), other.token(), other.profile.as_deref()), (None, None, Some("q")));
        let anonymous = config(&StoreArguments { anonymous: Some(true), ..named }, nothing);
        assert_eq!((anonymous.anonymous, anonymous.secret_key, anonymous.profile), (true, None, None));
    }

    #[test]
    fn a_setting_of_the_file_that_cannot_be_is_named_with_its_line_unless_a_flag_replaced_it() {
        let file = file("[s3]\nbucket_name=f\n\nendpoint=localhost:9000\n");
        let named = StoreArguments { config: Some(file.path().into()), ..StoreArguments::default() };
        let failure = named.settings(nothing).expect_err("no URL");
        assert!(failure.what.contains(":4: [s3] endpoint: endpoint is not a plain URL"), "{}", failure.what);
        let flag = StoreArguments { endpoint: Some("ftp://x".into()), ..named };
        let failure = flag.settings(nothing).expect_err("no URL");
        assert!(failure.what.starts_with("endpoint is not a plain URL"), "{}", failure.what);
    }

    #[test]
    fn no_bucket_says_how_to_name_one() {
        for bucket in [None, Some(String::new())] {
            let failure = StoreArguments { bucket, ..StoreArguments::default() }.settings(nothing).expect_err("none");
            assert_eq!(failure.kind, Kind::Access);
            assert!(failure.advice.expect("advice").contains("--bucket"));
        }
    }

    #[test]
    fn a_bucket_cannot_be_part_of_an_ip_address() {
        for endpoint in ["http://127.0.0.1:9000", "http://localhost:4566/", "http://[::1]:1", "https://10.0.0.1/s3"] {
            assert!(is_local(endpoint), "{endpoint}");
        }
        for endpoint in ["https://s3.eu-central-1.amazonaws.com", "http://localhost.example:1", ""] {
            assert!(!is_local(endpoint), "{endpoint}");
        }
    }
}
