/* A milter with libmilter that gets the same events and macros as ours, does nothing, and adds a header field
 * to each message. Usage: noop SOCKET FIELD */
#include <libmilter/mfapi.h>
#include <stdio.h>

static char *field;

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *addr) { return SMFIS_CONTINUE; }
static sfsistat on_helo(SMFICTX *ctx, char *name) { return SMFIS_CONTINUE; }
static sfsistat on_mail(SMFICTX *ctx, char **args) { return SMFIS_NOREPLY; }
static sfsistat on_rcpt(SMFICTX *ctx, char **args) { return SMFIS_CONTINUE; }
static sfsistat on_header(SMFICTX *ctx, char *name, char *value) { return SMFIS_NOREPLY; }

static sfsistat on_end(SMFICTX *ctx)
{
	smfi_insheader(ctx, 0, "X-HELO-Check", field);
	return SMFIS_ACCEPT;
}

static sfsistat negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
    unsigned long f3, unsigned long *our_actions, unsigned long *our_steps, unsigned long *p2, unsigned long *p3)
{
	*our_actions = SMFIF_ADDHDRS;
	*our_steps = steps & (SMFIP_NOBODY | SMFIP_NOEOH | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NR_HDR | SMFIP_NR_MAIL);
	*p2 = *p3 = 0;
	smfi_setsymlist(ctx, SMFIM_CONNECT, "j {daemon_addr} {if_addr} {client_name} {client_ptr} {client_resolve}");
	smfi_setsymlist(ctx, SMFIM_ENVFROM, "{auth_type} {auth_authen} i");
	smfi_setsymlist(ctx, SMFIM_EOM, "i");
	return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
	struct smfiDesc milter = {
		.xxfi_name = "noop",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eom = on_end,
		.xxfi_negotiate = negotiate,
	};

	if (argc != 3) {
		fprintf(stderr, "usage: noop SOCKET FIELD\n");
		return 64;
	}
	field = argv[2];
	smfi_setconn(argv[1]);
	smfi_setbacklog(4096);
	if (smfi_register(milter) != MI_SUCCESS)
		return 70;
	return smfi_main();
}
