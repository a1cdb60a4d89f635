"""All addresses of the site."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from portal import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="provisioning:access"), name="home"),
    path("", include("provisioning.urls")),
    path("registry/", include("accounts.urls")),
    path("notices/", include("notices.urls")),
    path("reviews/", include("reviews.urls")),
    path("sign-in/", views.SignInView.as_view(), name="login"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="logout"),
    path("password/", views.own_password, name="own-password"),
    path("django-admin/login/", views.admin_sign_in),
    # One door here, too: the site's own page neither counts guesses nor records the change.
    path("django-admin/password_change/", RedirectView.as_view(pattern_name="own-password")),
    path("django-admin/", admin.site.urls),
    path(
        "favicon.ico",
        login_not_required(RedirectView.as_view(url=f"{settings.STATIC_URL}portal/favicon.svg")),
    ),
]
if settings.SANDBOX:
    urlpatterns.append(path("sandbox/", include("sandbox.urls")))

handler500 = "portal.views.failed"
