//! The conformance suite against every server there is: our own in both forms, and others' as real processes.
//! `KLSTORE_TEST_CASE=racing` runs only the cases whose name contains it.

use klstore_s3_server::{Credential, Fault, Server, ServerBuilder};
use klstore_tests::conformance::{Outcome, Store, run};
use klstore_tests::servers::{ACCESS_KEY, BUCKET, ExternalServer, Kind, SECRET_KEY};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_in_memory() -> Outcome {
    embedded("memory", Server::builder()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_on_a_folder() -> Outcome {
    let folder = tempfile::tempdir()?;
    embedded("folder", Server::builder().folder(folder.path())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versitygw() -> Outcome {
    external(Kind::Versitygw).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto() -> Outcome {
    external(Kind::Moto).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minio takes minutes to build: script/test-long does"]
async fn minio() -> Outcome {
    external(Kind::Minio).await
}

/// The suite is worth its time only if a store that is not fit fails it.
#[tokio::test]
async fn a_store_that_ignores_conditions_fails() -> Outcome {
    let credential = Credential::new(ACCESS_KEY, SECRET_KEY);
    let server = Server::builder().bucket(BUCKET).credential(credential).start().await?;
    server.faults().set(|_| Fault::IgnorePreconditions);
    let failures = run("without conditions", &Store::new(server.endpoint())).await.unwrap_err().to_string();
    for case in ["one_of_racing_conditional_puts_wins", "a_keyspace_is_created_once"] {
        assert!(failures.contains(case), "{case} passed");
    }
    server.shutdown().await;
    Ok(())
}

async fn embedded(name: &str, builder: ServerBuilder) -> Outcome {
    let server = builder.bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY)).start().await?;
    let outcome = run(name, &Store::new(server.endpoint())).await;
    server.shutdown().await;
    outcome
}

async fn external(kind: Kind) -> Outcome {
    let Some(server) = ExternalServer::start(kind).await? else { return Ok(()) };
    let outcome = run(&format!("{kind:?}"), &server.store).await;
    server.stop().await?;
    outcome
}
