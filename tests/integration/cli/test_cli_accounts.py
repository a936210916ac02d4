"""``users`` and ``clients``, beside a running server whose memory they cannot reach."""

import secrets
import subprocess
import sys

import pytest
from cli_world import lines

from support.people import PASSWORD, App
from support.server import Server
from support.wait import wait_until


def test_a_client_made_by_the_command_signs_people_up(app: App):
    assert app.sign_up().get("/users/self")["username"]


def test_clients_are_listed_without_their_secrets(server: Server, app: App):
    output = server.photoapp("clients", "list", "--json").stdout
    (listed,) = [client for client in lines(output) if client["client_id"] == app.client_id]
    assert listed["name"] == "tests"
    assert listed["trusted"] is True
    assert app.client_secret not in output
    assert "secret" not in output


def test_a_user_made_by_the_command_logs_in_at_once(server: Server, app: App):
    name = f"ada_{secrets.token_hex(3)}"
    command = [sys.executable, "-m", "photoapp.cli", "-c", str(server.ini), "users", "create", name]
    command += ["--email", f"{name}@mail.example", "--full-name", "Ada", "--password-stdin", "--json"]
    done = subprocess.run(command, input=PASSWORD + "\n", capture_output=True, text=True, check=True, timeout=60)
    (made,) = lines(done.stdout)
    assert app.log_in(name).id == made["id"]
    (listed,) = [user for user in lines(server.photoapp("users", "list", "--json").stdout) if user["username"] == name]
    assert listed.items() >= {"id": made["id"], "state": "active", "full_name": "Ada", "media_count": 0}.items()


def test_a_taken_name_and_a_weak_password_are_refused_in_one_line(server: Server, app: App):
    taken = app.sign_up().username
    arguments = ["users", "create", taken, "--email", f"x{secrets.token_hex(4)}@mail.example", "--password"]
    for password, said in ((PASSWORD, f"username: {taken} is taken"), ("short", "password: must be 8 to 1024 bytes")):
        done = server.photoapp(*arguments, password, check=False)
        assert done.returncode == 1
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_suspending_hides_a_user_on_the_running_server_and_undo_shows_them_again(server: Server, app: App):
    alice, bob = app.sign_up(), app.sign_up()
    bob.relate(alice, "follow")
    media = alice.upload(caption="here")
    bob.sees_in_feed(media["id"])
    assert bob.call("GET", f"/users/{alice.id}").status_code == 200

    server.photoapp("users", "suspend", alice.username)
    # The command has waited: nothing is cached any more when it returns.
    assert bob.call("GET", f"/users/{alice.id}").status_code == 404
    assert bob.call("GET", f"/media/{media['id']}").status_code == 404
    assert bob.feed_ids() == []
    assert alice.call("GET", "/users/self").status_code == 400

    server.photoapp("users", "suspend", alice.id, "--undo")
    assert bob.get(f"/users/{alice.id}")["username"] == alice.username
    assert media["id"] in bob.feed_ids()
    app.log_in(alice.username)


def test_suspending_nobody_is_status_1(server: Server, app: App):
    done = server.photoapp("users", "suspend", "nobody.at.all", check=False)
    assert (done.returncode, done.stderr) == (1, "photoapp: there is no user nobody.at.all\n")


def test_the_command_does_the_late_work_itself_where_no_server_runs(installation: Server):
    made = installation.photoapp("users", "create", "ada", "--email", "ada@mail.example", "--password", PASSWORD)
    assert "ada has the id" in made.stdout
    installation.photoapp("users", "suspend", "@ada")
    (ada,) = lines(installation.photoapp("users", "list", "--json").stdout)
    assert ada["state"] == "suspended"
    assert installation.photoapp("jobs", "list", "--state", "waiting").stdout == "no job is waiting\n"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_change_whose_late_work_nobody_does_in_time_says_so(installation: Server):
    installation.photoapp("users", "create", "ada", "--email", "ada@mail.example", "--password", PASSWORD)
    holder = [sys.executable, "-c", HOLD, str(installation.folder / "queue.lock")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        done = installation.photoapp("users", "suspend", "ada", "--timeout", "0.5", check=False)
        assert done.returncode == 1
        assert "the change is made, but " in done.stderr
        assert "jobs that follow from it are not done after 0.5 s" in done.stderr
        process.communicate("")
    # Whoever works next finds them.
    installation.photoapp("feed", "rebuild", "ada")
    wait_until(
        lambda: installation.photoapp("jobs", "list", "--state", "waiting").stdout == "no job is waiting\n", within_s=60
    )


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
