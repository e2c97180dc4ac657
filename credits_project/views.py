"""What no single app owns: who am I, what do I have, and the pages around the API."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Me(APIView):
    """Who the caller is."""

    def get(self, request: Request) -> Response:
        """Show the caller's account."""
        return Response({"id": request.user.pk})


def home(request: HttpRequest) -> HttpResponse:
    """Show what this is and where everything else is."""
    return render(request, "home.html")
