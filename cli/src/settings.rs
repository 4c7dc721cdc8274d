//! Where the store is and who asks: flags, then `KLSTORE_*`, then the usual `AWS_*` variables.

use clap::Args;
use clap::builder::BoolishValueParser;
use klstore_format::S3StoreConfig;

use crate::failure::{Failure, Kind};

const DEFAULT_REGION: &str = "us-east-1";

/// The flags that say which store is meant. There is none for a secret: these come through the AWS chain.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Store")]
pub struct StoreArguments {
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
    /// Region of the bucket, us-east-1 if nothing says otherwise [also: AWS_REGION, AWS_DEFAULT_REGION]
    #[arg(long, global = true, env = "KLSTORE_REGION", hide_env_values = true)]
    pub region: Option<String>,
    /// Put the bucket into the URL's path instead of its host name; always so where the host is an IP address
    #[arg(
        long, global = true, env = "KLSTORE_PATH_STYLE", hide_env_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub path_style: bool,
    /// Profile of ~/.aws to take credentials from
    #[arg(long, global = true, env = "KLSTORE_PROFILE", hide_env_values = true)]
    pub profile: Option<String>,
    /// Do not sign requests: for public buckets
    #[arg(
        long, global = true, env = "KLSTORE_ANONYMOUS", hide_env_values = true,
        value_parser = BoolishValueParser::new()
    )]
    pub anonymous: bool,
}

impl StoreArguments {
    /// The settings of reader and writer. `variable` looks up an environment variable.
    pub fn config(&self, variable: impl Fn(&str) -> Option<String>) -> Result<S3StoreConfig, Failure> {
        let first = |flag: &Option<String>, names: &[&str]| {
            let from_environment = names.iter().map(|name| variable(name));
            std::iter::once(flag.clone()).chain(from_environment).flatten().find(|value| !value.is_empty())
        };
        let Some(bucket) = first(&self.bucket, &[]) else {
            return Err(Failure::new(Kind::Access, "no bucket is set")
                .advice("name it with --bucket NAME or export KLSTORE_BUCKET=NAME"));
        };
        let endpoint = first(&self.endpoint, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let path_style = self.path_style || endpoint.as_deref().is_some_and(is_local);
        let config = S3StoreConfig {
            object_prefix: self.object_prefix.clone().unwrap_or_default(),
            endpoint,
            region: first(&self.region, &["AWS_REGION", "AWS_DEFAULT_REGION"])
                .unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            path_style,
            profile: first(&self.profile, &[]),
            anonymous: self.anonymous,
            ..S3StoreConfig::new(bucket)
        };
        config.validate().map_err(|error| Failure::new(Kind::Access, error.to_string()))?;
        Ok(config)
    }
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

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn arguments() -> StoreArguments {
        StoreArguments { bucket: Some("b".into()), ..StoreArguments::default() }
    }

    #[test]
    fn flags_win_over_the_environment_and_the_specific_over_the_general() {
        let variables = |name: &str| {
            let value = match name {
                "AWS_ENDPOINT_URL_S3" => "http://s3:1",
                "AWS_ENDPOINT_URL" => "http://any:1",
                "AWS_REGION" => "",
                "AWS_DEFAULT_REGION" => "eu-west-1",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let config = arguments().config(variables).expect("valid");
        assert_eq!((config.endpoint.as_deref(), config.region.as_str()), (Some("http://s3:1"), "eu-west-1"));
        let flags = StoreArguments { endpoint: Some("http://flag:1".into()), region: Some("r".into()), ..arguments() };
        let config = flags.config(variables).expect("valid");
        assert_eq!((config.endpoint.as_deref(), config.region.as_str()), (Some("http://flag:1"), "r"));
    }

    #[test]
    fn without_anything_it_is_aws_in_its_first_region() {
        let config = arguments().config(nothing).expect("valid");
        assert_eq!((config.endpoint, config.region.as_str(), config.path_style), (None, "us-east-1", false));
    }

    #[test]
    fn no_bucket_says_how_to_name_one() {
        for bucket in [None, Some(String::new())] {
            let failure = StoreArguments { bucket, ..StoreArguments::default() }.config(nothing).expect_err("none");
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
