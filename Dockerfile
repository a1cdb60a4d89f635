# Sallyport's image: one for web, worker, sweeper, notifier and migrations (docker-compose.yml).
# It holds no sandbox, no test and no build tool, and runs as an ordinary user.

FROM python:3.13-slim-bookworm AS build

WORKDIR /srv/sallyport
COPY requirements.txt .
# Locked versions with hashes, and wheels only: nothing of a package runs while it is installed.
# The environment gets no pip of its own.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements.txt

COPY . .
# Settings are complete or the process stops, so the build gets some that open nothing.
RUN SECRET_KEY=only-for-the-build \
    DATABASE_URL=sqlite:////tmp/build.sqlite3 \
    BROKER_URL=redis://build.invalid/0 \
    ALLOWED_HOSTS=build.invalid \
    SALLYPORT_BASE_URL=https://build.invalid \
    SALLYPORT_PORTAL_ID=build \
    SALLYPORT_PORTAL_PRINCIPAL=arn:aws:iam::000000000000:user/build \
    /opt/venv/bin/python manage.py collectstatic --noinput \
    && /opt/venv/bin/python -m compileall -q .


FROM python:3.13-slim-bookworm

RUN groupadd --gid 10001 sallyport \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin sallyport

# Owned by root: what runs here cannot change its own code.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/sallyport /srv/sallyport

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=portal.settings
WORKDIR /srv/sallyport
USER 10001:10001
EXPOSE 8000

# The worker's heartbeat file goes to memory, because a slow disk would look like a hung worker.
CMD ["gunicorn", "portal.wsgi:application", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", \
     "--workers", "2", "--threads", "8", "--worker-tmp-dir", "/dev/shm", "--no-control-socket", \
     "--access-logfile", "-"]
