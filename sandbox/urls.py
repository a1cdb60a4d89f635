"""Addresses of the sandbox.

Those of the console end as AWS's do: links are made for either by exchanging the host alone.
"""

from django.urls import path

from sandbox import views

app_name = "sandbox"

urlpatterns = [
    path("", views.accounts, name="index"),
    path("sign-in/<str:username>/", views.sign_in, name="sign-in"),
    path("install/<str:account_id>/", views.install, name="install"),
    path("mail/", views.mail_list, name="mail"),
    path("mail/<slug:name>/", views.mail_page, name="mail-page"),
    path("mail/<slug:name>/html/", views.mail_html, name="mail-html"),
    path("console/", views.console_home, name="console"),
    path("console/sign-in", views.console_sign_in, name="console-sign-in"),
    path("console/switchrole", views.switch_role, name="switchrole"),
    path("console/switch-back", views.switch_back, name="switch-back"),
    path("console/sign-out", views.console_sign_out, name="console-sign-out"),
]
