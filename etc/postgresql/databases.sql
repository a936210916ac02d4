-- The role and one physical database. On each server, with the name that pgbouncer.ini has for it:
--   psql -v database=photoapp_one -v password=... -f etc/postgresql/databases.sql postgres
\set ON_ERROR_STOP on

SELECT format('CREATE ROLE photoapp LOGIN PASSWORD %L', :'password')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'photoapp') \gexec

SELECT format('CREATE DATABASE %I OWNER photoapp TEMPLATE template0 ENCODING %L', :'database', 'UTF8')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

-- Behind pgbouncer no client can set these (shards.behind_pgbouncer): they are the role's.
ALTER ROLE photoapp SET statement_timeout = '2s';
ALTER ROLE photoapp SET lock_timeout = '1s';
ALTER ROLE photoapp SET idle_in_transaction_session_timeout = '5s';
